"""A TFLite file taken apart: its operations by name, and what its quantiser has to leave in float."""

from typing import Any

import numpy as np

from keras_unetpp.compat.tensorflow import tflite_schema
from keras_unetpp.formats.sensitive import ARITHMETIC, CONVOLUTION, OTHER, REDUCTION, ROOT, Step, ends, statistics

_KINDS = {
    **dict.fromkeys(("MEAN", "SUM"), REDUCTION),
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "NEG", "SQUARE", "SQUARED_DIFFERENCE", "RESHAPE"), ARITHMETIC),
    **dict.fromkeys(("SQRT", "RSQRT"), ROOT),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), CONVOLUTION),
}


def read(data: bytes) -> Any:
    """The file as TFLite's own tree of objects."""
    schema = tflite_schema()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def pack(model: Any) -> bytes:
    """The inverse of `read`."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def attach(model: Any, name: bytes, data: bytes) -> None:
    """Put named data into the file."""
    schema = tflite_schema()
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(data, np.uint8)
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]


def names(model: Any) -> list[str]:
    """The operator codes of a file as words, `CONV_2D`, .."""
    words = {code: word for word, code in vars(tflite_schema().BuiltinOperator).items() if isinstance(code, int)}
    return [words[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]


def kinds(model: Any) -> set[str]:
    """The types of the tensors of a file as words, `FLOAT32`, .."""
    words = {code: word for word, code in vars(tflite_schema().TensorType).items() if isinstance(code, int)}
    return {words[tensor.type] for graph in model.subgraphs for tensor in graph.tensors}


def foreign(model: Any) -> list[str]:
    """Names of the operations that are not built into TFLite: custom ones, and those of TensorFlow (Flex)."""
    return sorted({code.customCode.decode() for code in model.operatorCodes if code.customCode})


def spare(calibrated: bytes, first: bool = False, last: bool = False) -> bytes:
    """A calibrated file of which the quantiser will leave arithmetic on an image's statistics in float.

    The quantiser skips operations whose tensors have no recorded range, so those of `sensitive.statistics` are
    dropped, but for tensors that another operation reads.

    Args:
        calibrated: as TensorFlow's converter gives it before it quantises.
        first: leave the first two convolutions in float too.
        last: leave the last convolution of each head in float too, and what follows it.
    """
    model = read(calibrated)
    codes = names(model)
    for graph in model.subgraphs:
        steps = [Step(_KINDS.get(codes[one.opcodeIndex], OTHER), _known(one.inputs), _known(one.outputs))
                 for one in graph.operators]  # fmt: skip
        chosen = statistics(steps)
        spared = {index for position in chosen for index in steps[position].writes}
        spared -= {index for position, step in enumerate(steps) if position not in chosen for index in step.reads}
        if first or last:
            spared |= ends(steps, _known(graph.outputs), first, last)
        for index in spared:
            graph.tensors[index].quantization = None
    return pack(model)


def _known(indices: Any) -> frozenset[int]:
    """Indices of tensors; optional ones that are left out have -1."""
    return frozenset(int(index) for index in indices if index >= 0)
