"""What a SavedModel would do when it is loaded and run, looked at before either: it is a program, not just data."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_unetpp.errors import InputError

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
_OTHER_GRAPHS = ("saved_model.cpb", "saved_model.pbtxt")


def check(path: str | os.PathLike[str]) -> None:
    """Raise `InputError` for a SavedModel that holds anything that `export` does not write."""
    from tensorflow.core.protobuf import saved_model_pb2

    folder, found = Path(path), saved_model_pb2.SavedModel()
    if others := [name for name in _OTHER_GRAPHS if (folder / name).exists()]:
        raise _refused(path, others)
    try:
        found.ParseFromString((folder / "saved_model.pb").read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # of protobuf, whose classes differ by version
        raise InputError(f"{path} holds no readable saved_model.pb: {error}. Export it again.") from error
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
    yield from (node.op for node in nodes if node.op not in KNOWN)
    for item in graph.object_graph_def.nodes:
        kind = item.WhichOneof("kind")
        if kind not in _OBJECTS or item.saveable_objects or item.registered_saver:
            yield f"an object of kind {kind}"


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
        " write files. If you trust who made it, open it with Artefact(path, trusted=True)."
    )
