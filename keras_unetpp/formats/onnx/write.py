"""ONNX files: one float32 graph whose outputs are the levels, for any batch and sides unless told otherwise."""

import logging
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unetpp.compat.tf2onnx import optimizers
from keras_unetpp.formats import FORMATS, Again
from keras_unetpp.formats.functions import Functions as Levels
from keras_unetpp.formats.functions import check_labels, functions
from keras_unetpp.formats.onnx.quantize import quantized
from keras_unetpp.formats.runtime import as_dtype
from keras_unetpp.formats.signature import Signature
from keras_unetpp.formats.unsupported import unsupported
from keras_unetpp.graph.describe import describe
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.imports import uninterrupted

LAYOUTS = ("NHWC", "NCHW")
OPSETS = range(13, 19)
"""Versions of ONNX' operators that tf2onnx writes and that have what the networks need."""


def write(model: keras.Model, path: str | os.PathLike[str], signature: Signature, *, opset: int = 17,
          layout: str = "NHWC", labels: Sequence[str] | None = None, quantize: str | None = None,
          calibration: Iterable[np.ndarray] = (), author: str = "", licence: str = "") -> Again:  # fmt: skip
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
        calibration: batches (1, *sides, channels) of float32 pixel values 0..255; of `export`, see `Losses`.
        author: of the model.
        licence: of the weights.

    Returns:
        Of "int8", what writes it again with the first two convolutions, and the last of each head, in float.

    Raises:
        InputError: an option that does not fit, an operation that ONNX has not; a package is missing.
    """
    FORMATS["onnx"].check_writes()
    names = check_labels(labels, signature.classes)
    _check(signature, opset, layout, quantize)
    fed = [_fed(image, signature, layout) for image in calibration]
    FORMATS["onnx"].check_calibrated(quantize, fed)
    with uninterrupted():
        import onnx

    whole = _converted(functions(model, signature), signature, opset, layout == "NCHW")
    _check_operations(whole, [layer.name for layer in model.layers])
    about = {"output": signature.output, "layout": layout, "labels": "\n".join(names), "author": author,
             "licence": licence, "signature": signature.to_json()}  # fmt: skip
    if (spec := describe(model).spec) is not None:
        about["spec"] = spec.to_json()

    def attempt(spare_ends: bool) -> None:
        proto = whole if quantize is None else quantized(whole, fed, spare_ends)
        onnx.helper.set_model_props(proto, {key: text for key, text in about.items() if text})
        onnx.checker.check_model(proto, full_check=True)
        Path(path).write_bytes(proto.SerializeToString())

    attempt(False)
    return None if quantize is None else partial(attempt, True)


def mode(path: str | os.PathLike[str]) -> str | None:
    """The mode of quantisation that a file tells of: None or "int8"."""
    import onnx

    graph = onnx.load(os.fspath(path), load_external_data=False).graph
    return "int8" if any(node.op_type == "DequantizeLinear" for node in graph.node) else None


def _fed(image: np.ndarray, signature: Signature, layout: str) -> np.ndarray:
    """A batch as the file takes it."""
    image = np.moveaxis(image, -1, 1) if layout == "NCHW" else image
    return as_dtype(image, np.uint8 if signature.input == "uint8" else np.float32)


def _check(signature: Signature, opset: int, layout: str, quantize: Any) -> None:
    if signature.input == "image_bytes":
        raise InputError("ONNX has no operation that decodes images. Received: input='image_bytes'. Use 'uint8'.")
    if opset not in OPSETS:
        raise InputError(f"opset must be from {OPSETS.start} to {OPSETS.stop - 1}. Received: {opset!r}.")
    if layout not in LAYOUTS:
        raise InputError(f"layout must be 'NHWC' or 'NCHW'. Received: {layout!r}.")
    FORMATS["onnx"].mode(quantize)


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
    from tf2onnx import tf_loader
    from tf2onnx.optimizer import optimize_graph
    from tf2onnx.tfonnx import process_tf_graph

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
    concrete = tf.function(every).get_concrete_function(spec)
    image, *_ = (tensor.name for tensor in concrete.inputs if tensor.dtype != tf.resource)
    names = {tensor.name: name for name, tensor in concrete.structured_outputs.items()}
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        frozen = tf_loader.from_function(concrete, [image], list(names))
        with tf.device("/cpu:0"), tf.Graph().as_default() as graph:
            tf.import_graph_def(frozen, name="")
            whole = process_tf_graph(graph, opset=opset, custom_op_handlers={"Erfc": (_erfc, [])}, input_names=[image],
                                     output_names=list(names), tensors_to_rename={image: "image", **names},
                                     continue_on_error=True)  # fmt: skip
            return optimize_graph(whole, optimizers=optimizers()).make_model(f"converted from {signature.names}")
    finally:
        logger.setLevel(level)
