"""TensorFlow functions -> the bytes of a TFLite file, by TensorFlow's converter and quantiser."""

import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_unetpp.compat.tensorflow import converter_error, giving_bytes, only_calibrate, quantized
from keras_unetpp.formats.functions import Functions
from keras_unetpp.formats.runtime import wordless
from keras_unetpp.formats.signature import Signature
from keras_unetpp.formats.tflite import flatbuffer
from keras_unetpp.formats.unsupported import unsupported
from keras_unetpp.kit.errors import InputError

_OPERATION = re.compile(r"'tf\.(\w+)' op is neither")


def convert(levels: Functions, signature: Signature, quantize: str | None, images: list[np.ndarray],
            layers: Sequence[str] = (), spare_ends: bool = False) -> bytes:  # fmt: skip
    """The bytes of a file of built-in operations only; a SavedModel in between lets the levels share their weights.

    Args:
        levels: as `functions` gives them.
        signature: of the file.
        quantize: a mode, see `write` in `tflite`.
        images: for modes that need calibration; each is run through every level.
        layers: names of the network's layers, for the text of an error.
        spare_ends: keep the first two convolutions and, unless the output is of 8 bits, the last of each head in float.

    Raises:
        InputError: naming operations that are not built in, and the layers that need them.
    """
    import tensorflow as tf

    kind = "uint8" if quantize == "int8" else signature.input

    def samples() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for name in levels:
            for image in images:
                pixels = np.clip(np.rint(image), 0, 255) if kind == "uint8" else image
                yield name, {"image": pixels.astype(kind)}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        _save(levels, tf.TensorSpec((1, *signature.sides, signature.channels), kind, name="image"), folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(levels))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if images:
            converter.representative_dataset = samples
            only_calibrate(converter)
        try:
            data = converter.convert()
        except converter_error() as error:
            raise InputError(_unsupported(_OPERATION.findall(str(error)), str(error), layers)) from error
        if images:
            data = quantized(flatbuffer.spare(data, spare_ends, spare_ends and quantize != "int8"))
    if quantize == "int8" and signature.output != "mask":
        data = giving_bytes(data)
    if foreign := flatbuffer.foreign(flatbuffer.read(data)):
        raise InputError(_unsupported(foreign, "", layers))
    return bytes(data)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the converter's own words and warnings."""
    with wordless(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _save(levels: Functions, image: Any, folder: str) -> None:
    """A SavedModel of the levels, each traced for such an `image`."""
    import tensorflow as tf

    traced = {name: tf.function(level, autograph=False).get_concrete_function(image) for name, level in levels.items()}
    module = tf.Module()
    module.weights = list({id(weight): weight for one in traced.values() for weight in one.variables}.values())
    tf.saved_model.save(module, folder, signatures=traced)


def _unsupported(operations: Iterable[str], where: str, layers: Sequence[str]) -> str:
    return unsupported("TFLite's built-in operations", operations, where, layers, "a SavedModel or ONNX")
