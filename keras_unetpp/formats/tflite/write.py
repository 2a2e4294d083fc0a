"""TFLite, now LiteRT: one file for mobile apps, a function for each level on shared weights, fixed sides, batch 1."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from keras_unetpp.formats import FORMATS, Again
from keras_unetpp.formats.functions import check_labels, functions
from keras_unetpp.formats.signature import Signature
from keras_unetpp.formats.tflite import flatbuffer
from keras_unetpp.formats.tflite.convert import convert
from keras_unetpp.formats.tflite.metadata import with_metadata
from keras_unetpp.kit.errors import InputError


def write(model: keras.Model, path: str | os.PathLike[str], signature: Signature, *, quantize: str | None = None,
          calibration: Iterable[np.ndarray] = (), labels: Sequence[str] | None = None, author: str = "",
          licence: str = "") -> Again:  # fmt: skip
    """Write a model as a TFLite file of built-in operations only.

    Its functions `L1`.. and `mean` each take `image`, (1, *sides, channels), and give one tensor named as
    `signature.output`. A network that normalises each image does so in float32 in every mode.

    Args:
        model: any model of this package.
        path: the file; `export` gives one beside the file that it is for.
        signature: of fixed sides; input "float32" or "uint8".
        quantize: None, float32. "float16", weights in half precision. "dynamic", weights of 8 bits, and arithmetic too
            where the processor has it. "int8_float_io", 8 bits throughout, ranges found on `calibration`. "int8", also
            uint8 pixel values in and uint8 probabilities, in steps of 1/256, or logits out.
        calibration: batches (1, *sides, channels) of float32 pixel values 0..255; of `export`, see `Losses`.
        labels: names of the classes, for one class that of the foreground; see `describe`.
        author: of the model, for the metadata.
        licence: of the weights, for the metadata.

    Returns:
        Of the int8 modes, what writes it again with the first two convolutions and, but for "int8", the last of each
        head, in float.

    Raises:
        InputError: for sides left open, an unknown mode, a layer that TFLite's built-in operations cannot compute.
        OSError: the file cannot be written.
    """
    _check(signature, quantize)
    names = check_labels(labels, signature.classes)[-signature.classes :]
    FORMATS["tflite"].check_writes()
    images = [*calibration]
    FORMATS["tflite"].check_calibrated(quantize, images)
    levels, layers = functions(model, signature), [layer.name for layer in model.layers]
    told = replace(signature, rounds=signature.rounds or quantize == "int8")

    def attempt(spare_ends: bool) -> None:
        data = convert(levels, signature, quantize, images, layers, spare_ends)
        Path(path).write_bytes(with_metadata(data, model, told, labels=names, author=author, licence=licence))

    attempt(False)
    return partial(attempt, True) if images else None


def mode(path: str | os.PathLike[str]) -> str | None:
    """The mode of quantisation that a file tells of: None, "float16", or "int8" for all of 8 bits."""
    kinds = flatbuffer.kinds(flatbuffer.read(Path(path).read_bytes()))
    return next((mode for mode, kind in (("int8", "INT8"), ("float16", "FLOAT16")) if kind in kinds), None)


def _check(signature: Signature, quantize: str | None) -> None:
    """Raise `InputError`, before any work, for what TFLite cannot do."""
    FORMATS["tflite"].mode(quantize)
    if signature.input == "image_bytes":
        raise InputError("A .tflite file takes input='float32' or 'uint8'. Received: 'image_bytes'.")
    if None in signature.sides:
        raise InputError(
            f"The sides of a .tflite file are fixed. Received: {signature.sides}. Pass size=, for example size=256."
        )
