"""ONNX files: one float32 graph whose outputs are the levels, for any batch and sides unless told otherwise."""

import logging
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unetpp.artefacts import onnx as runtime
from keras_unetpp.artefacts.runtime import Functions, as_dtype
from keras_unetpp.artefacts.signature import Signature
from keras_unetpp.exporting.accuracy import MIN_AGREEMENT, Accuracy, Gate, check_min_agreement
from keras_unetpp.exporting.onnx_quantize import quantized
from keras_unetpp.exporting.samples import Calibration, calibrating, pairs
from keras_unetpp.exporting.signature import Functions as Levels
from keras_unetpp.exporting.signature import check_labels, functions
from keras_unetpp.exporting.unsupported import unsupported
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.requirements import require
from keras_unetpp.spec.levels import check_max_drop

QUANTIZE = (None, "int8")
"""Modes of quantisation, mildest first."""

TOLERANCE: dict[str | None, float] = {None: 1e-4}
"""Largest difference from the Keras model, by mode; 8-bit files are judged by their masks instead."""

LAYOUTS = ("NHWC", "NCHW")
OPSETS = range(13, 19)
"""Versions of ONNX' operators that tf2onnx writes and that have what the networks need."""


def write(model: keras.Model, path: str | os.PathLike[str], signature: Signature, *, opset: int = 17,
          layout: str = "NHWC", labels: Sequence[str] | None = None, quantize: str | None = None,
          calibration: Iterable[Any] | None = None, labelled: Iterable[Any] | None = None,
          max_drop: float = 0.01, min_agreement: float = MIN_AGREEMENT, author: str = "",
          licence: str = "") -> tuple[Accuracy, ...]:  # fmt: skip
    """Write an ONNX file with the input `image` and an output for each level, `L1`.. and `mean`, on shared weights.

    A program that needs one level of several asks its runtime for that output alone; ONNX Runtime then skips the rest
    where its option `only_execute_path_to_fetches` is set. The metadata hold, as text, `spec` and `signature` (JSON),
    `labels` (one a line), `output`, `layout`, `author` and `licence`.

    Args:
        model: any model of this package.
        path: the file.
        signature: what to offer; "uint8" or "float32" input.
        opset: version of ONNX' operators, 13 to 18.
        layout: "NHWC" (batch, height, width, channels) or "NCHW" for the input and, unless masks, the outputs.
        labels: names of the classes.
        quantize: None, float32; or "int8", weights and arithmetic of 8 bits by ONNX Runtime's quantiser, ranges found
            on `calibration`; what goes in and comes out, and the normalising of images, stay as they are.
        calibration: some ten to hundred images like those to come, (height, width, channels) or paths; where the sides
            are fixed, cropped around the centre or padded by reflection to them.
        labelled: (images, masks), images as for `calibration` and masks (height, width) of 0/1 or class ids, or pairs
            of an image and its mask: IoU and Dice of the file and of the model are measured on them.
        max_drop: IoU or Dice that a level may lose, 0..1. Before "int8" gives up, it is tried with the first two
            convolutions, and the last of each head, in float.
        min_agreement: mean IoU, 0..1, that the masks of an "int8" file must have with the model's on the images of
            `calibration` and `labelled`; 0 lets any pass.
        author: of the model.
        licence: of the weights.

    Returns:
        What was measured, by level; empty without `labelled`.

    Raises:
        InputError: an option that does not fit, missing or unfit images, a drop over `max_drop`, masks that are not the
            model's; a package is missing.
    """
    require("onnx", "tf2onnx", "onnx", "onnxruntime")
    names = check_labels(labels, signature.classes)
    _check(signature, opset, layout, quantize, max_drop)
    check_min_agreement(min_agreement)
    import onnx

    ranged = Calibration([], False)
    if quantize is not None:
        ranged = calibrating(calibration, signature, quantize, "quantize=None needs none.")
    sample = [] if labelled is None else pairs(labelled, signature)
    levels = functions(model, signature)
    whole = _converted(levels, signature, opset, layout == "NCHW")
    _check_operations(whole, [layer.name for layer in model.layers])
    about = {"output": signature.output, "layout": layout, "labels": "\n".join(names), "author": author,
             "licence": licence, "signature": signature.to_json()}  # fmt: skip
    if (spec := getattr(model, "spec", None)) is not None:
        about["spec"] = spec.to_json()
    fed = [_fed(image, signature, layout) for image in ranged.images]

    def attempt(spare_ends: bool) -> bytes:
        proto = whole if quantize is None else quantized(whole, fed, spare_ends)
        onnx.helper.set_model_props(proto, {key: text for key, text in about.items() if text})
        onnx.checker.check_model(proto, full_check=True)
        return bytes(proto.SerializeToString())

    attempts = [partial(attempt, spare_ends) for spare_ends in ((False, True) if quantize else (False,))]
    ways_out = ("use quantize=None", "give more calibration images") if quantize else ()
    judged = None if quantize in TOLERANCE else ranged
    data, found = Gate(levels, signature, sample, max_drop, judged, min_agreement, ways_out).passed(attempts, _opened)
    Path(path).write_bytes(data)
    return found


def mode(path: str | os.PathLike[str]) -> str | None:
    """The mode of quantisation that a file tells of: None or "int8"."""
    import onnx

    graph = onnx.load(os.fspath(path), load_external_data=False).graph
    return "int8" if any(node.op_type == "DequantizeLinear" for node in graph.node) else None


def _opened(data: bytes) -> Functions:
    return runtime.of_bytes(data).functions


def _fed(image: np.ndarray, signature: Signature, layout: str) -> np.ndarray:
    """A batch as the file takes it."""
    image = np.moveaxis(image, -1, 1) if layout == "NCHW" else image
    return as_dtype(image, np.uint8 if signature.input == "uint8" else np.float32)


def _check(signature: Signature, opset: int, layout: str, quantize: Any, max_drop: Any) -> None:
    if signature.input == "image_bytes":
        raise InputError("ONNX has no operation that decodes images. Received: input='image_bytes'. Use 'uint8'.")
    if opset not in OPSETS:
        raise InputError(f"opset must be from {OPSETS.start} to {OPSETS.stop - 1}. Received: {opset!r}.")
    if layout not in LAYOUTS:
        raise InputError(f"layout must be 'NHWC' or 'NCHW'. Received: {layout!r}.")
    if quantize not in QUANTIZE:
        raise InputError(f"quantize must be None or 'int8' in ONNX. Received: {quantize!r}.")
    check_max_drop(max_drop)


def _check_operations(proto: Any, layers: Sequence[str]) -> None:
    """Raise `InputError` for operations that tf2onnx leaves as they are, since ONNX has none."""
    import onnx

    foreign = [node for node in proto.graph.node if not onnx.defs.has(node.op_type, node.domain)]
    if foreign:
        names, where = [node.op_type for node in foreign], " ".join(node.name for node in foreign)
        raise InputError(unsupported("ONNX", names, where, layers, "a SavedModel or TFLite"))


def _erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """1 - erf(x) for TensorFlow's Erfc, of which exact GELU is made and which tf2onnx does not know."""
    graph.remove_node(name)
    one = graph.make_const(f"{name}_one", np.array(1, np.float32)).output[0]
    erf = graph.make_node("Erf", [node.input[0]], name=f"{name}_erf").output[0]
    graph.make_node("Sub", [one, erf], outputs=node.output, name=name)


def _converted(levels: Levels, signature: Signature, opset: int, channels_first: bool) -> Any:
    """The graph of all levels, by tf2onnx."""
    import tensorflow as tf
    import tf2onnx

    last = list(range(len(signature.shape)))
    first = [0, last[-1], *last[1:-1]]

    def every(image: Any) -> dict[str, Any]:
        if channels_first:  # tf2onnx' own option knows images only, not volumes
            image = tf.transpose(image, [0, *last[2:], 1])
        results = {name: run(image)[signature.output] for name, run in levels.items()}
        if channels_first and signature.output != "mask":
            results = {name: tf.transpose(values, first) for name, values in results.items()}
        return results

    shape = tuple(signature.shape[axis] for axis in (first if channels_first else last))
    spec = tf.TensorSpec(shape, getattr(tf, signature.input), name="image")
    options: dict[str, Any] = {"custom_op_handlers": {"Erfc": (_erfc, [])}}
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        proto, _ = tf2onnx.convert.from_function(tf.function(every), [spec], opset=opset, **options)
    finally:
        logger.setLevel(level)
    return proto
