"""Names that tf2onnx does not promise: what it makes a graph simpler by."""

from typing import Any

from keras_unetpp.compat.names import PrivateName

SEEN = ("1.17.0",)

OPTIMIZERS = PrivateName(
    "tf2onnx", "tf2onnx.optimizer:_optimizers", "tells what makes an ONNX graph simpler, and in which order", SEEN
)
RESHAPE = PrivateName(
    "tf2onnx",
    "tf2onnx.optimizer:ReshapeOptimizer._optimize_reshape",
    "makes the shapes that an ONNX graph computes into constants",
    SEEN,
)
NAMES = (OPTIMIZERS, RESHAPE)


def optimizers() -> dict[str, Any]:
    """tf2onnx' own, by name, for `tf2onnx.optimizer.optimize_graph`, but for reshapes that are outputs: they stay.

    To make their shape a constant it adds an axis of 1 and cuts it off for all that reads them, outputs not among it.
    Whether one is an output already when its turn comes depends on names, so on what else this process has converted.
    """
    whole = OPTIMIZERS.get()
    own: Any = whole["reshape_optimizer"]
    simpler = RESHAPE.get()

    def unless_output(self: Any, node: Any, graph: Any) -> Any:
        return node.output[0] not in graph.outputs and simpler(self, node, graph)

    return {**whole, "reshape_optimizer": type("Reshapes", (own,), {RESHAPE.name: unless_output})}
