"""What a backbone costs, read off its layers at a few sizes: the numbers of `spec.backbones.Tap`."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from keras_unetpp.graph.walk import Shape, inputs, most_alive, output_shapes, running_order
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.backbones import MAX_REDUCTION, Tap

BLOCKS = (4, 8, 12)
"""Sides at which everything is counted, in blocks of MAX_REDUCTION pixels; evenly spaced, see `_per_block`."""
CHANNELS = 3


class Reach(NamedTuple):
    """Cell y of a tensor sees pixels y * jump - before .. y * jump + after of the image."""

    jump: int
    before: int
    after: int


def measure(model: keras.Model, layers: Sequence[str]) -> tuple[Tap, ...]:
    """The taps of a backbone.

    Args:
        model: functional, from (batch, height, width, 3) of any sides.
        layers: names of the layers to read, finest first.

    Raises:
        InputError: a layer is not there; the sides of a tap are not those of the image over a power of 2.
    """
    whole = tapped_layers(model, layers)
    runs = [output_shapes(whole, side * MAX_REDUCTION) for side in BLOCKS]
    order = [layer for layer in whole if inputs(layer)]
    reach = _reaches(order)
    first = first_convolution(order)
    taps: list[Tap] = []
    start = 0
    for name in layers:
        stop = next(index for index, layer in enumerate(order) if layer.name == name) + 1
        own = order[start:stop]
        reduction, channels = _geometry(name, runs[-1][name])
        image = math.prod(first.kernel.shape) // CHANNELS if first in own else 0
        macs = [sum(_macs(layer, shapes) for layer in own) for shapes in runs]
        each, fixed = _linear(macs, reduction, name)
        image_macs = image * (reduction // reach[first.name].jump) ** 2
        taps.append(Tap(
            layer=name, reduction=reduction, channels=channels,
            trained=_count(own, "trainable_weights") - CHANNELS * image,
            frozen=_count(own, "non_trainable_weights"),
            macs=each - CHANNELS * image_macs, fixed=fixed, image=image, image_macs=image_macs,
            values=_per_block([sum(math.prod(shapes[layer.name]) for layer in own) for shapes in runs], reduction),
            live=_per_block([most_alive(own, shapes) for shapes in runs], reduction),
            before=reach[name].before, after=reach[name].after - reduction + 1,
            layers=len(own),
        ))  # fmt: skip
        start = stop
    return tuple(taps)


def tapped_layers(model: keras.Model, taps: Sequence[str]) -> list[keras.layers.Layer]:
    """The layers that the taps need: those of the first, itself last, then what the second needs besides, ..

    Raises:
        InputError: naming a tap that is not there.
    """
    outputs = {layer.name: layer.output for layer in model.layers}
    for name in taps:
        if name not in outputs:
            raise InputError(f"Model {model.name!r} has no layer {name!r} to tap. See its summary().")
    return running_order(model, [outputs[name] for name in taps])


def first_convolution(order: Sequence[keras.layers.Layer]) -> keras.layers.Layer:
    """The layer whose kernel reads the image.

    Raises:
        InputError: the first layer with weights has no kernel.
    """
    first = next((layer for layer in order if layer.weights), None)
    if first is None or not hasattr(first, "kernel"):
        raise InputError(
            "The first layer with weights of a backbone must be a convolution. Received:"
            f" {first.name if first is not None else 'a model without weights'!r}."
        )
    return first


def _geometry(name: str, shape: Shape) -> tuple[int, int]:
    """Reduction and channels of a tap."""
    side = BLOCKS[-1] * MAX_REDUCTION
    reduction = side // max(shape[1], 1)
    if shape[1] != shape[2] or shape[1] * reduction != side or reduction.bit_count() != 1:
        raise InputError(
            f"The sides of a tap must be those of the image over a power of 2. Received: layer {name!r} gives"
            f" {shape[1:3]} for an image of {(side, side)}. Use padding='same', or another layer."
        )
    return reduction, int(shape[-1])


def _count(layers: Sequence[keras.layers.Layer], kind: str) -> int:
    return sum(math.prod(weight.shape) for layer in layers for weight in getattr(layer, kind))


def _macs(layer: keras.layers.Layer, shapes: dict[str, Shape]) -> int:
    """Multiply-accumulates of convolutions and dense layers: each kernel is applied once at each output pixel."""
    kernels = [weight for weight in layer.weights if weight.name.endswith("kernel")]
    return sum(math.prod(weight.shape) for weight in kernels) * math.prod(shapes[layer.name][1:-1])


def _linear(counts: Sequence[int], reduction: int, name: str) -> tuple[int, int]:
    """(a, b) of counts a * blocks + b."""
    blocks = [(side * MAX_REDUCTION // reduction) ** 2 for side in BLOCKS]
    each, rest = divmod(counts[1] - counts[0], blocks[1] - blocks[0])
    fixed = counts[0] - each * blocks[0]
    if rest or counts[2] != each * blocks[2] + fixed:
        raise InputError(
            f"The work of a backbone must grow with the pixels of the image. Up to layer {name!r} it is {counts} for"
            f" sides of {[side * MAX_REDUCTION for side in BLOCKS]}. Use padding='same' throughout."
        )
    return each, fixed


def _per_block(counts: Sequence[int], reduction: int) -> int:
    """The quadratic part of counts at evenly spaced sides; the linear one is borders that layers add to pad."""
    step = (BLOCKS[1] - BLOCKS[0]) * MAX_REDUCTION // reduction
    return round((counts[2] - 2 * counts[1] + counts[0]) / (2 * step**2))


def _reaches(order: Sequence[keras.layers.Layer]) -> dict[str, Reach]:
    """What a cell of each layer's output sees of the image, along the side where it is most; global layers aside."""
    known: dict[int, Reach | None] = {}
    reaches: dict[str, Reach] = {}
    for layer in order:
        read = [known.get(id(tensor), Reach(1, 0, 0)) for tensor in inputs(layer)]
        local = [one for one in read if one is not None]
        found = None
        if local and not type(layer).__name__.startswith("Global"):
            joined = Reach(local[0].jump, max(one.before for one in local), max(one.after for one in local))
            found = _through(layer)(joined)
            reaches[layer.name] = found
        known[id(layer.output)] = found
    return reaches


def _through(layer: keras.layers.Layer) -> Callable[[Reach], Reach]:
    """How a layer widens what a cell sees."""
    kind = type(layer).__name__
    if kind in ("ZeroPadding2D", "Cropping2D"):
        amounts: Any = layer.padding if kind == "ZeroPadding2D" else layer.cropping
        shift = max(pair[0] for pair in amounts) * (1 if kind == "ZeroPadding2D" else -1)
        return lambda reach: Reach(reach.jump, reach.before + shift * reach.jump, reach.after - shift * reach.jump)
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if size is None:
        return lambda reach: reach
    stride = max(layer.strides)
    span = (max(size) - 1) * max(getattr(layer, "dilation_rate", (1,))) + 1
    left = max(span - stride, 0) // 2 if layer.padding == "same" else 0
    right = span - 1 - left
    return lambda reach: Reach(stride * reach.jump, reach.before + left * reach.jump, reach.after + right * reach.jump)
