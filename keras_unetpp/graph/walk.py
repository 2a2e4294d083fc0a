"""Layers of a functional model in an order in which they can run, the shapes that they give, what is alive at once."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_unetpp.spec.alive import alive

Shape = tuple[int, ...]


def inputs(layer: Any) -> list[Any]:
    """The tensors that a layer or operation reads; none for an input layer."""
    return [] if isinstance(layer, keras.layers.InputLayer) else keras.tree.flatten(layer.input)


def after(model: keras.Model, start: Any) -> list[Any]:
    """The operations that read, directly or not, a tensor, each after those that it reads."""
    known, found = {id(start)}, []
    for operation in model.operations:
        if any(id(tensor) in known for tensor in inputs(operation)):
            known.update(id(tensor) for tensor in keras.tree.flatten(operation.output))
            found.append(operation)
    return found


def running_order(model: keras.Model, outputs: Iterable[Any]) -> list[keras.layers.Layer]:
    """Every layer after those that it reads: what the first output needs, then what the second needs besides, ..

    Keras' own list is by depth.
    """
    maker = {id(layer.output): layer for layer in model.layers}
    order: dict[str, keras.layers.Layer] = {}
    # A stack of its own: the chain of layers in a deep backbone is longer than Python's.
    waiting = [maker[id(output)] for output in reversed(list(outputs))]
    while waiting:
        layer = waiting[-1]
        missing = [source for tensor in inputs(layer) if (source := maker[id(tensor)]).name not in order]
        if missing:
            waiting += reversed(missing)
        else:
            order[waiting.pop().name] = layer
    return list(order.values())


def output_shapes(order: Sequence[keras.layers.Layer], side: int) -> dict[str, Shape]:
    """The shape of each layer's output, by the layer's name, for one image of equal sides in pixels."""
    known: dict[int, Shape] = {}
    shapes: dict[str, Shape] = {}
    for layer in order:
        own = [known[id(tensor)] for tensor in inputs(layer)]
        if own:
            shape = tuple(layer.compute_output_shape(own if isinstance(layer.input, list) else own[0]))
        else:
            shape = (1, *(side for _ in layer.output.shape[1:-1]), layer.output.shape[-1])
        known[id(layer.output)] = shapes[layer.name] = shape
    return shapes


def most_alive(order: Sequence[keras.layers.Layer], shapes: Mapping[str, Shape], kept: Iterable[Any] = (),
               frees: bool = True) -> int:  # fmt: skip
    """The largest number of values alive at once, of those that these layers make.

    Args:
        order: of running.
        shapes: of the layers' outputs, by name.
        kept: tensors that stay alive to the end.
        frees: whether an output is freed after its last reader.
    """
    steps = [([*map(id, inputs(layer))], {id(layer.output): math.prod(shapes[layer.name])}) for layer in order]
    return max((sum(now) for _, now in alive(steps, map(id, kept), frees)), default=0)
