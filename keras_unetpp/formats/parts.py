"""A network as TensorFlow functions, one a node X^{i,j} and one a head, so that levels share their graphs too."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_unetpp.graph.walk import after, inputs
from keras_unetpp.spec.names import part_of


@dataclass
class _Part:
    """Operations that are traced together: by the ids of tensors, what they read and write."""

    operations: list[Any] = field(default_factory=list)
    reads: dict[int, Any] = field(default_factory=dict)
    writes: dict[int, Any] = field(default_factory=dict)
    function: Any = None


def parts(model: keras.Model, start: Any) -> dict[str, Callable[[Any], Any]]:
    """The outputs of a model by name as functions of the values of the tensor `start`.

    Each calls the functions of the parts that it needs; a part is traced once for all of them and for all sides.

    Args:
        model: with a dict of outputs, and open sides.
        start: the tensor after which the model is wanted.
    """
    found = _parts(model, start)
    for part in found:
        part.function = _traced(list(part.reads.values()), list(part.writes.values()))

    def function(output: Any) -> Callable[[Any], Any]:
        needed: list[_Part] = []
        wanted = {id(output)}
        for part in reversed(found):
            if part.writes.keys() & wanted:
                needed.insert(0, part)
                wanted |= part.reads.keys()

        def run(x: Any) -> Any:
            values = {id(start): x}
            for part in needed:
                results = part.function(*(values[key] for key in part.reads))
                values |= dict(zip(part.writes, results, strict=True))
            return values[id(output)]

        return run

    return {name: function(output) for name, output in model.output.items()}


def _parts(model: keras.Model, start: Any) -> list[_Part]:
    """The parts in an order in which they can run; where names tell parts that read each other, all is one part."""
    grouped: dict[str, _Part] = {}
    for operation in after(model, start):
        grouped.setdefault(part_of(operation.name) or operation.name, _Part()).operations.append(operation)
    ordered = _ordered(list(grouped.values()), model, id(start))
    return ordered or _ordered([_Part(after(model, start))], model, id(start))


def _ordered(found: list[_Part], model: keras.Model, start: int) -> list[_Part]:
    """The parts, knowing what they read and write, in an order in which they can run; none if there is no order."""
    outputs = {id(tensor) for tensor in keras.tree.flatten(model.output)}
    for part in found:
        made = {id(tensor): tensor for one in part.operations for tensor in keras.tree.flatten(one.output)}
        read = {id(tensor): tensor for one in part.operations for tensor in inputs(one)}
        part.reads = {key: tensor for key, tensor in read.items() if key not in made}
        part.writes = made
    needed = outputs.union(*(part.reads for part in found))
    for part in found:
        part.writes = {key: tensor for key, tensor in part.writes.items() if key in needed}
    known, order, left = {start}, [], found
    while ready := [part for part in left if part.reads.keys() <= known]:
        order += ready
        known.update(*(part.writes for part in ready))
        left = [part for part in left if part not in ready]
    return [] if left else order


def _traced(sources: list[Any], results: list[Any]) -> Any:
    import tensorflow as tf

    network = keras.Model(sources, results)

    def run(*values: Any) -> list[Any]:
        return list(keras.tree.flatten(network(list(values), training=False)))

    specs = [tf.TensorSpec(source.shape, source.dtype) for source in sources]
    return tf.function(run, autograph=False).get_concrete_function(*specs)
