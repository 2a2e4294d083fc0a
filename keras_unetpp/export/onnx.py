"""ONNX files: one float32 graph whose outputs are the levels, for any batch and sides unless told otherwise."""

import logging
import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_unetpp.artefacts.runtime import require
from keras_unetpp.artefacts.signature import Signature
from keras_unetpp.errors import InputError
from keras_unetpp.export.signature import check_labels, functions

TOLERANCE = 1e-4
LAYOUTS = ("NHWC", "NCHW")
OPSETS = range(13, 19)
"""Versions of ONNX' operators that tf2onnx writes and that have what the networks need."""


def write(model: keras.Model, path: str | os.PathLike[str], signature: Signature, *, opset: int = 17,
          layout: str = "NHWC", labels: Sequence[str] | None = None) -> None:  # fmt: skip
    """Write an ONNX file with the input `image` and an output for each level, `L1`.. and `mean`, on shared weights.

    A program that needs one level of several asks its runtime for that output alone; ONNX Runtime then skips the rest
    where its option `only_execute_path_to_fetches` is set. The metadata hold, as text, `spec` and `signature` (JSON),
    `labels` (one a line), `output` and `layout`.

    Args:
        model: any model of this package.
        path: the file.
        signature: what to offer; "uint8" or "float32" input.
        opset: version of ONNX' operators, 13 to 18.
        layout: "NHWC" (batch, height, width, channels) or "NCHW" for the input and, unless masks, the outputs.
        labels: names of the classes.

    Raises:
        InputError: an option that does not fit; a package is missing.
    """
    require("onnx", "tf2onnx", "onnx", "onnxruntime")
    names = check_labels(labels, signature.classes)
    _check(signature, opset, layout)
    import onnx

    proto = _converted(model, signature, opset, layout == "NCHW")
    spec = getattr(model, "spec", None)
    about = {"output": signature.output, "layout": layout, "spec": spec and spec.to_json(), "labels": "\n".join(names),
             "signature": signature.to_json()}  # fmt: skip
    onnx.helper.set_model_props(proto, {key: text for key, text in about.items() if text})
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, os.fspath(path))


def _check(signature: Signature, opset: int, layout: str) -> None:
    if signature.input == "image_bytes":
        raise InputError("ONNX has no operation that decodes images. Received: input='image_bytes'. Use 'uint8'.")
    if opset not in OPSETS:
        raise InputError(f"opset must be from {OPSETS.start} to {OPSETS.stop - 1}. Received: {opset!r}.")
    if layout not in LAYOUTS:
        raise InputError(f"layout must be 'NHWC' or 'NCHW'. Received: {layout!r}.")


def _converted(model: keras.Model, signature: Signature, opset: int, channels_first: bool) -> Any:
    """The graph of all levels, by tf2onnx."""
    import tensorflow as tf
    import tf2onnx

    levels = functions(model, signature)

    def every(image: Any) -> dict[str, Any]:
        return {name: run(image)[signature.output] for name, run in levels.items()}

    spec = tf.TensorSpec(signature.shape, getattr(tf, signature.input), name="image")
    options: dict[str, Any] = {}
    if channels_first:
        options = {"inputs_as_nchw": ["image"]}
        if signature.output != "mask":
            options["outputs_as_nchw"] = list(levels)
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        proto, _ = tf2onnx.convert.from_function(tf.function(every), [spec], opset=opset, **options)
    finally:
        logger.setLevel(level)
    return proto
