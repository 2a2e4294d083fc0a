"""How much memory a model takes to run, read off its graph, so that pruned and reloaded models tell it as well."""

import math
from typing import Any

import keras

from keras_unetpp.graph.heads import divisor

BYTES_PER_VALUE = 4
OVERHEAD = 1.5
"""Peak of resident memory over the layer outputs alive at once: what kernels use as scratch, and layers run early.

Measured with TensorFlow 2.21 on CPUs at 512 x 512 and 1024 x 1024 pixels: 1.1 to 2.0, about 1.5 for most networks.
"""

SIDE = 256
"""Pixels, or a few more, of the sides at which it is counted: large enough that padded borders weigh little."""


def bytes_per_pixel(model: keras.Model) -> float:
    """Bytes that inference takes for each pixel of the input, the weights aside.

    OVERHEAD * max over layers of the sum of the float32 outputs alive, if each head's layers run after those of the
    heads before it and each output is freed after its last reader. PyTorch, which runs layer by layer, frees none.
    """
    frees = keras.backend.backend() != "torch"
    side = -(-SIDE // divisor(model)) * divisor(model)
    layers = _running_order(model)
    last_reader = {id(tensor): step for step, layer in enumerate(layers) for tensor in _inputs(layer)}
    last_reader |= {id(tensor): len(layers) for tensor in keras.tree.flatten(model.output)}
    shapes: dict[int, tuple[int, ...]] = {}
    live: dict[int, int] = {}
    peak = 0
    for step, layer in enumerate(layers):
        shape = _output_shape(layer, shapes, side)
        shapes[id(layer.output)], live[id(layer.output)] = shape, math.prod(shape)
        peak = max(peak, sum(live.values()))
        for tensor in _inputs(layer):
            if frees and last_reader[id(tensor)] == step:
                live.pop(id(tensor), None)
    return OVERHEAD * BYTES_PER_VALUE * peak / side ** (len(model.inputs[0].shape) - 2)


def _running_order(model: keras.Model) -> list[keras.layers.Layer]:
    """Every layer after those that it reads, and no sooner than a head needs it; Keras' own list is by depth."""
    maker = {id(layer.output): layer for layer in model.layers}
    order: dict[str, keras.layers.Layer] = {}
    # A stack of its own: the chain of layers in a deep backbone is longer than Python's.
    waiting = [maker[id(output)] for output in reversed(keras.tree.flatten(model.output))]
    while waiting:
        layer = waiting[-1]
        missing = [source for tensor in _inputs(layer) if (source := maker[id(tensor)]).name not in order]
        if missing:
            waiting += reversed(missing)
        else:
            order[waiting.pop().name] = layer
    return list(order.values())


def _inputs(layer: keras.layers.Layer) -> list[Any]:
    return [] if isinstance(layer, keras.layers.InputLayer) else keras.tree.flatten(layer.input)


def _output_shape(layer: keras.layers.Layer, shapes: dict[int, tuple[int, ...]], side: int) -> tuple[int, ...]:
    """Shape of a layer's output for one image of equal sides."""
    own = [shapes[id(tensor)] for tensor in _inputs(layer)]
    if not own:
        return (1, *(side for _ in layer.output.shape[1:-1]), layer.output.shape[-1])
    return tuple(layer.compute_output_shape(own if isinstance(layer.input, list) else own[0]))
