"""ONNX files of 8 bits, by ONNX Runtime's static quantiser."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_unetpp.formats.onnx.run import runtime
from keras_unetpp.formats.sensitive import ARITHMETIC, CONVOLUTION, OTHER, REDUCTION, ROOT, Step, ends, statistics

QUANTIZED = ("Conv", "ConvTranspose", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Relu", "Clip",
             "Add", "Mul")  # fmt: skip
"""Operations that get 8 bits; what pads, normalises and activates the heads stays float."""

_KINDS = {
    **dict.fromkeys(("ReduceMean", "ReduceSum", "GlobalAveragePool"), REDUCTION),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Neg", "Pow", "Reshape", "Squeeze", "Unsqueeze"), ARITHMETIC),
    **dict.fromkeys(("Sqrt", "Reciprocal"), ROOT),
    **dict.fromkeys(("Conv", "ConvTranspose"), CONVOLUTION),
}


def quantized(proto: Any, images: Sequence[np.ndarray], spare_ends: bool = False) -> Any:
    """An ONNX model of 8-bit weights and arithmetic, pixels in and results out as before.

    Args:
        proto: of 32 bits.
        images: batches as the model takes them, on which the ranges of values are found.
        spare_ends: keep the first two convolutions, and the last of each head, in float.
    """
    import onnx

    runtime()
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.left, None)
            return None if image is None else {proto.graph.input[0].name: image}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(proto, str(source))
        quantization.quantize_static(
            source,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=_excluded(proto.graph, spare_ends),
        )
        return onnx.load(str(target))


def _excluded(graph: Any, spare_ends: bool) -> list[str]:
    """Names of the nodes that stay float."""
    constants = {tensor.name for tensor in graph.initializer}
    steps = [Step(_KINDS.get(node.op_type, OTHER), frozenset(node.input) - constants, frozenset(node.output))
             for node in graph.node]  # fmt: skip
    found = statistics(steps)
    if spare_ends:
        spared = ends(steps, frozenset(output.name for output in graph.output))
        convolutions = [index for index, step in enumerate(steps) if step.kind == CONVOLUTION]
        found |= {*convolutions[:2], *(index for index in convolutions if steps[index].writes & spared)}
    return [graph.node[index].name for index in sorted(found)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice, which it gives through the root logger."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
