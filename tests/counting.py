"""What a built network costs and sees, counted from its layers and its gradients: the measure of closed forms."""

from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf

from keras_unetpp.graph import build as builder
from keras_unetpp.graph.layers import make
from keras_unetpp.spec import Cost


def built(spec):
    """A model and its layers in building order."""
    made = []

    def recording(row, spec):
        made.append(make(row, spec))
        return made[-1]

    with patch.object(builder, "make", recording):
        return builder.build(spec), made


def sizeof(layer):
    """Values in a layer's outputs for a batch of one."""
    return sum(int(np.prod(tensor.shape[1:])) for tensor in keras.tree.flatten(layer.output))


def macs_of(layer):
    """A kernel is applied once at each output pixel, that of a transposed convolution at each input pixel."""
    if not hasattr(layer, "kernel"):
        return 0
    tensor = layer.input if "Transpose" in type(layer).__name__ else layer.output
    return int(np.prod(tensor.shape[1:-1]) * np.prod(layer.kernel.shape))


def inputs_of(layer):
    """The tensors that a layer reads."""
    return [] if isinstance(layer, keras.layers.InputLayer) else keras.tree.flatten(layer.input)


def peak(layers, outputs):
    """Largest number of live values when each output is freed as soon as no later layer reads it."""
    live, most = {}, 0
    for step, layer in enumerate(layers):
        live |= {id(tensor): int(np.prod(tensor.shape[1:])) for tensor in keras.tree.flatten(layer.output)}
        most = max(most, sum(live.values()))
        later = {id(tensor) for other in layers[step + 1 :] for tensor in inputs_of(other)} | set(map(id, outputs))
        live = {tensor: size for tensor, size in live.items() if tensor in later}
    return most


def counted(model, order):
    """The Cost of a built model, from its weights and the shapes of its tensors."""
    inside = set(map(id, model.layers))
    layers = [layer for layer in order if id(layer) in inside]
    layers += [layer for layer in model.layers if id(layer) not in set(map(id, order))]
    return Cost(
        model.count_params(),
        sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        sum(map(macs_of, layers)),
        sum(weight.numpy().nbytes for weight in model.weights),
        4 * peak(layers, keras.tree.flatten(model.output)),
    )


def part_of(layer):
    """The node or head that a layer belongs to, by its name."""
    name = layer.name.split("_")
    return "image" if layer.name == "normalization" else "_".join(name[: 3 if name[0] == "x" else 1])


def counted_parts(order):
    """Parameters, multiply-accumulates and bytes of the outputs of each node and head."""
    parts = {}
    for layer in order:
        weights = sum(int(np.prod(weight.shape)) for weight in layer.weights)
        facts = (weights, macs_of(layer), 4 * sizeof(layer))
        parts[part_of(layer)] = tuple(map(sum, zip(parts.get(part_of(layer), (0, 0, 0)), facts, strict=True)))
    return parts


def farthest(model, block, radius, axis=0, draws=8):
    """The pixels farthest from an output pixel on which it depends along an axis, by the gradient at random images.

    Weights become positive, so that nothing cancels out. Of all `block` alignments of the output pixel and all draws,
    which let different pixels win a max pooling, the farthest counts.

    Args:
        model: functional, of one input and one output of the same sides, which may be open.
        block: pixels after which alignments repeat.
        radius: expected; twice as many pixels are looked at on each side.
        axis: of the sides.
        draws: of images.
    """
    rng = np.random.default_rng(0)
    for weight in model.weights:
        fan = np.prod(weight.shape[:-1])
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) / fan)
    first = -(-(2 * radius + block) // block) * block
    sides = [block] * (len(model.inputs[0].shape) - 2)
    sides[axis] = 2 * first + block
    pixels = np.repeat(rng.uniform(0, 255, (draws, *sides, model.inputs[0].shape[-1])), block, axis=0)
    places = np.tile(np.arange(first, first + block), draws)
    x = tf.constant(pixels, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        line = tf.experimental.numpy.moveaxis(tf.reduce_sum(model(x), -1), axis + 1, -1)
        middle = line[(slice(None), *(block // 2 for _ in sides[1:]))]
        total = tf.reduce_sum(tf.gather(middle, places, batch_dims=1))
    gradient = np.moveaxis(tape.gradient(total, x).numpy(), axis + 1, -1).reshape(len(places), -1, sides[axis])
    reached = (np.flatnonzero(one.any(0)) - place for one, place in zip(gradient, places, strict=True))
    return max(np.abs(one).max(initial=0) for one in reached)
