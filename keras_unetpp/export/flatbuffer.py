"""A TFLite file taken apart: its operations by name, and what its quantiser has to leave in float."""

from typing import Any, NamedTuple

import numpy as np

ARITHMETIC = frozenset(
    ("MEAN", "SUM", "ADD", "SUB", "MUL", "DIV", "NEG", "SQUARE", "SQUARED_DIFFERENCE", "SQRT", "RSQRT", "RESHAPE")
)
"""What Keras' normalising layers are made of in a TFLite file."""

REDUCTIONS = frozenset(("MEAN", "SUM"))


def read(data: bytes) -> Any:
    """The file as TFLite's own tree of objects."""
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def pack(model: Any) -> bytes:
    """The inverse of `read`."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def attach(model: Any, name: bytes, data: bytes) -> None:
    """Put named data into the file."""
    from tensorflow.lite.python import schema_py_generated as schema

    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(data, np.uint8)
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]


def names(model: Any) -> list[str]:
    """The operator codes of a file as words, `CONV_2D`, .."""
    from tensorflow.lite.python import schema_py_generated as schema

    words = {code: word for word, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    return [words[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]


def foreign(model: Any) -> list[str]:
    """Names of the operations that are not built into TFLite: custom ones, and those of TensorFlow (Flex)."""
    return sorted({code.customCode.decode() for code in model.operatorCodes if code.customCode})


def spare(calibrated: bytes, ends: bool = False) -> bytes:
    """A calibrated file of which the quantiser will leave arithmetic on an image's statistics in float.

    Variances and their roots span more than 8 bits can tell apart: quantised, a network that normalises each image
    sees dark images as flat. The quantiser skips operations whose tensors have no recorded range, so the ranges of
    means, and of all arithmetic that reads them, are dropped, but for those that another operation reads.

    Args:
        calibrated: as TensorFlow's converter gives it before it quantises.
        ends: leave the first two convolutions and the last of each head in float too.
    """
    model = read(calibrated)
    codes = names(model)
    for graph in model.subgraphs:
        steps = [_Step(codes[one.opcodeIndex], _known(one.inputs), _known(one.outputs)) for one in graph.operators]
        for index in _statistics(steps) | (_ends(steps, _known(graph.outputs)) if ends else set()):
            graph.tensors[index].quantization = None
    return pack(model)


class _Step(NamedTuple):
    """An operation and the tensors that it reads and writes."""

    name: str
    reads: set[int]
    writes: set[int]


def _known(indices: Any) -> set[int]:
    """Indices of tensors; optional ones that are left out have -1."""
    return {int(index) for index in indices if index >= 0}


def _statistics(steps: list[_Step]) -> set[int]:
    spared: set[int] = set()
    read_elsewhere: set[int] = set()
    for step in steps:
        if step.name in REDUCTIONS or (step.name in ARITHMETIC and step.reads & spared):
            spared |= step.writes
        else:
            read_elsewhere |= step.reads
    return spared - read_elsewhere


def _ends(steps: list[_Step], outputs: set[int]) -> set[int]:
    """What the first two convolutions read, and all from the result of each head's last convolution on."""
    first = next(step for step in steps if step.name == "CONV_2D")
    spared = first.reads | first.writes
    wanted = set(outputs)
    for step in reversed(steps):
        if step.writes & wanted:
            spared |= step.writes
            wanted |= set() if step.name == "CONV_2D" else step.reads
    return spared
