"""What a SavedModel would do when it is loaded and run, looked at before either: it is a program, not just data."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_unetpp.compat.tensorflow import saved_model
from keras_unetpp.formats.saved_model import GRAPH_FILE
from keras_unetpp.kit.errors import InputError

_NAMES = """
    Abs Add AddN AddV2 All Any ArgMax Assert AssignVariableOp AvgPool AvgPool3D BatchMatMulV2 BatchToSpaceND BiasAdd
    BroadcastArgs BroadcastTo Case Cast Ceil ClipByValue Concat ConcatV2 Const Conv2D Conv2DBackpropInput Conv3D
    Conv3DBackpropInputV2 DecodeImage DecodeJpeg DecodePaddedRaw DecodePng DecodeRaw DepthToSpace
    DepthwiseConv2dNative DisableCopyOnRead Einsum Elu EncodePng EnsureShape Equal Erf Erfc Exp ExpandDims Fill
    Floor FloorDiv FloorMod FusedBatchNormV3 GatherNd GatherV2 Greater GreaterEqual Identity IdentityN If LeakyRelu
    Less LessEqual Log LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool MaxPool3D MaxPoolWithArgmax
    Maximum Mean Min Minimum MirrorPad Mul Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2 PartitionedCall
    Placeholder Pow Prod Range Rank ReadVariableOp RealDiv Reciprocal Relu Relu6 Reshape ResizeBilinear
    ResizeNearestNeighbor ReverseV2 Round Rsqrt ScatterNd Select SelectV2 Selu Shape ShapeN Sigmoid Sign Size Slice
    Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square SquaredDifference Squeeze
    StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile StaticRegexFullMatch StopGradient StridedSlice
    StringLength StringSplitV2 Sub Substr Sum Tanh TensorListFromTensor TensorListGetItem TensorListReserve
    TensorListSetItem TensorListStack Tile Transpose Unpack VarHandleOp VarIsInitializedOp Where While Xlogy
    ZerosLike
"""
KNOWN = frozenset(re.findall(r"\w+", _NAMES))
"""Operations that compute and do no more: those that exports have, and their like of other versions and networks."""

_SAVING = frozenset(("MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename", "StringJoin"))
"""What the functions have that store and restore the weights, which loading does not run."""

_OBJECTS = frozenset(
    ("asset", "bare_concrete_function", "captured_tensor", "constant", "function", "user_object", "variable")
)
_LOOPS = ("While", "StatelessWhile")
TURNS = 2**12
"""Most turns of a loop with a limit of its own: `decoding.SEGMENTS`."""
_OTHER_GRAPHS = ("saved_model.cpb", "saved_model.pbtxt")


def check(path: str | os.PathLike[str]) -> None:
    """Raise `InputError` for a SavedModel that holds anything that `export` does not write."""
    folder, found = Path(path), saved_model()
    if others := [name for name in _OTHER_GRAPHS if (folder / name).exists()]:
        raise _refused(path, others)
    try:
        found.ParseFromString((folder / GRAPH_FILE).read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # of protobuf, whose classes differ by version
        raise InputError(f"{path} holds no readable {GRAPH_FILE}: {error}. Export it again.") from error
    if len(found.meta_graphs) != 1 or not found.meta_graphs[0].HasField("object_graph_def"):
        raise _refused(path, [f"{len(found.meta_graphs)} graphs without objects"])
    if foreign := sorted({*_foreign(found.meta_graphs[0])}):
        raise _refused(path, foreign)


def _foreign(graph: Any) -> Iterator[str]:
    """Names of what is not known."""
    nodes, library = graph.graph_def.node, {one.signature.name: one for one in graph.graph_def.library.function}
    saver = {name.split(":")[0] for name in (graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name)}
    saving = {name for node in nodes if node.name in saver for name in _called(node)}
    called = {name for node in nodes if node.name not in saver for name in _called(node)}
    called |= {name for one in library.values() for node in one.node_def for name in _called(node)}
    called |= set(graph.object_graph_def.concrete_functions)
    for name in (*_entries(graph), *(read.split(":")[0].lstrip("^") for node in nodes for read in node.input)):
        if name in saver:
            yield f"use of {name}, which stores weights"
    for name, one in library.items():
        allowed = KNOWN | _SAVING if name in saving - called else KNOWN
        yield from (node.op for node in one.node_def if node.op not in allowed)
        yield from _endless(one.node_def, library)
    yield from (node.op for node in nodes if node.op not in KNOWN)
    yield from _endless(nodes, library)
    for item in graph.object_graph_def.nodes:
        kind = item.WhichOneof("kind")
        if kind not in _OBJECTS or item.saveable_objects or item.registered_saver:
            yield f"an object of kind {kind}"


def _endless(nodes: Any, library: dict[str, Any]) -> Iterator[str]:
    """Names of the loops that do not count their turns up to a limit that is known before the first.

    TensorFlow's loops have, as their first two values, the turns done and the most allowed. Here the condition has to
    compare them, the body to add 1 to the one and to keep the other.
    """
    known = {node.name: node for node in nodes}
    for node in nodes:
        if node.op not in _LOOPS:
            continue
        condition, body = (library.get(node.attr[part].func.name) for part in ("cond", "body"))
        if condition is None or body is None or not (_compares(condition) and _counts(body) and _limited(node, known)):
            yield f"a loop without a limit, {node.name}"


def _compares(condition: Any) -> bool:
    """Whether a condition is (turns < limit) and anything."""
    turns, limit = (one.name for one in condition.signature.input_arg[:2])
    found = _source(condition, condition.ret[condition.signature.output_arg[0].name])
    parts = [_source(condition, name) for name in found.input] if getattr(found, "op", "") == "LogicalAnd" else [found]
    return any(getattr(part, "op", "") == "Less" and list(part.input[:2]) == [turns, limit] for part in parts)


def _counts(body: Any) -> bool:
    """Whether a body adds 1 to its first value and keeps its second."""
    from tensorflow import make_ndarray

    turns, limit = (one.name for one in body.signature.input_arg[:2])
    first, second = (_source(body, body.ret[one.name]) for one in body.signature.output_arg[:2])
    if second != limit or getattr(first, "op", "") not in ("Add", "AddV2") or first.input[0] != turns:
        return False
    more = _source(body, first.input[1])
    return getattr(more, "op", "") == "Const" and int(make_ndarray(more.attr["value"].tensor)) == 1


def _limited(loop: Any, nodes: dict[str, Any]) -> bool:
    """Whether the most turns are few, or as many as a tensor is long."""
    from tensorflow import make_ndarray

    limit = nodes.get(loop.input[1].split(":")[0])
    if limit is not None and limit.op == "Const":
        return int(make_ndarray(limit.attr["value"].tensor)) <= TURNS
    if limit is None or limit.op != "StridedSlice":
        return False
    shape = nodes.get(limit.input[0].split(":")[0])
    return shape is not None and shape.op == "Shape"


def _source(function: Any, name: str) -> Any:
    """The node of a function that gives a value, or the value's name if that is an argument of it."""
    nodes = {node.name: node for node in function.node_def}
    while (node := nodes.get(name.split(":")[0])) is not None and node.op == "Identity":
        nodes.pop(node.name)  # a circle ends too
        name = node.input[0]
    return name if node is None else node


def _called(node: Any) -> Iterator[str]:
    """Names of the functions that a node calls."""
    for value in node.attr.values():
        for one in (value.func, *value.list.func):
            if one.name:
                yield one.name


def _entries(graph: Any) -> Iterator[str]:
    """Names of the nodes that are run from outside, but for saving."""
    for signature in graph.signature_def.values():
        for tensor in (*signature.inputs.values(), *signature.outputs.values()):
            yield tensor.name.split(":")[0]
    for collection in graph.collection_def.values():
        yield from (name.split(":")[0] for name in collection.node_list.value)


def _refused(path: object, foreign: list[str]) -> InputError:
    named = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
    return InputError(
        f"{path} holds what no export of this package writes: {named}. A SavedModel is a program that may read and"
        " write files. If you trust who made it, open it with Artefact(path, trusted=True), or"
        " --trusted of the commands."
    )
