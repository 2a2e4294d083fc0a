"""Layers between rows of different resolution that Keras lacks; in `keras.ops`, for images and volumes of any sides."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

PACKAGE = "keras_unetpp"
"""Under which files name these classes; they open where this package is imported."""

EPSILON = 1e-12
"""Added to a mean of squares, so that the gradient of its root is finite."""

Strides = tuple[int, ...]
Pooling = Callable[[Any, Strides], Any]
"""Tensor and sides of blocks -> one pixel for each block."""


def average_pool(x: Any, strides: Strides) -> Any:
    """The mean of each block."""
    return ops.average_pool(x, strides, strides, data_format="channels_last")


def max_pool(x: Any, strides: Strides) -> Any:
    """The largest of each block."""
    return ops.max_pool(x, strides, strides, data_format="channels_last")


class _Strided(keras.layers.Layer):
    """A layer that changes sides by whole factors.

    Args:
        strides: the factors, one for each side.
        options: of every layer.
    """

    def __init__(self, strides: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.strides = tuple(strides)

    def get_config(self) -> dict[str, Any]:
        """Those of every layer, and the strides."""
        return {**super().get_config(), "strides": self.strides}

    def divided(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """A shape with each known side divided by its stride."""
        sides = (side and side // stride for side, stride in zip(shape[1:-1], self.strides, strict=True))
        return shape[0], *sides, shape[-1]

    def multiplied(self, shape: Sequence[int | None], channels: int) -> tuple[int | None, ...]:
        """A shape with each known side times its stride, and other channels."""
        sides = (side and side * stride for side, stride in zip(shape[1:-1], self.strides, strict=True))
        return shape[0], *sides, channels


@keras.saving.register_keras_serializable(PACKAGE)
class L2Pool(_Strided):
    """The square root of (the mean of the squares of each block + EPSILON), in float32, whose squares half has not.

    Of zeros it gives 1e-6, with a gradient of 0.

    Args:
        strides: sides of a block.
        average: what gives the mean of each block, from a tensor and the strides.
        options: of every layer.
    """

    def __init__(self, strides: Sequence[int], average: Pooling = average_pool, **options: Any) -> None:
        super().__init__(strides, **options)
        self.average = average

    def call(self, x: Any) -> Any:
        """(batch, *sides, channels) -> (batch, *(side / stride), channels)."""
        mean = self.average(ops.square(ops.cast(x, "float32")), self.strides)
        return ops.cast(ops.sqrt(mean + EPSILON), x.dtype)

    def compute_output_shape(self, shape: Any) -> Any:
        """Fewer pixels."""
        return self.divided(shape)


@keras.saving.register_keras_serializable(PACKAGE)
class MaxPlace(_Strided):
    """Where in each block the largest value is, of several the first, as a max pooling that starts there finds it.

    A number of int32 in row-major order, 0 to the pixels of a block less 1. Values are compared with each other, and
    with no max pooling's: compilers may compute what both read twice, and differently.
    """

    def call(self, x: Any) -> Any:
        """(batch, *sides, channels) -> (batch, *(side / stride), channels)."""
        starts = itertools.product(*map(range, self.strides))
        largest, *others = (
            x[(slice(None), *(slice(at, None, stride) for at, stride in zip(start, self.strides, strict=True)))]
            for start in starts
        )
        places = []
        for number, other in enumerate(others, 1):
            larger = other > largest
            largest = ops.where(larger, other, largest)
            places.append(ops.cast(larger, "int32") * number)
        return functools.reduce(ops.maximum, places)

    def compute_output_spec(self, x: Any) -> Any:
        """Fewer pixels, whole numbers."""
        return keras.KerasTensor(self.divided(x.shape), "int32")

    def compute_output_shape(self, shape: Any) -> Any:
        """Fewer pixels."""
        return self.divided(shape)


@keras.saving.register_keras_serializable(PACKAGE)
class Unpool(_Strided):
    """Each pixel at the place of its block that `MaxPlace` found, and zeros around it."""

    def call(self, inputs: Any) -> Any:
        """(values, places), (batch, *sides, channels) both -> (batch, *(side * stride), channels)."""
        _, *shape = ops.shape(inputs[0])
        # As a list of pixels: formats compare with one number in few dimensions only.
        x, place = (ops.reshape(one, (-1, shape[-1])) for one in inputs)
        zero = ops.zeros((), x.dtype)
        parts = [
            ops.reshape(ops.where(place == number, x, zero), (-1, *shape)) for number in range(math.prod(self.strides))
        ]
        return joined(parts, self.strides)

    def compute_output_shape(self, shapes: Any) -> Any:
        """More pixels."""
        return self.multiplied(shapes[0], shapes[0][-1])


@keras.saving.register_keras_serializable(PACKAGE)
class PixelShuffle(_Strided):
    """Channels to pixels: channel c of pixel p of a block is channel c * (pixels of a block) + p of what it reads.

    Pixels of a block count in row-major order, so that images have PyTorch's `PixelShuffle`, and volumes the same with
    an axis more. `keras.ops.depth_to_space` is for images, and has all channels of one pixel after those of another.
    """

    def call(self, x: Any) -> Any:
        """(batch, *sides, channels * pixels of a block) -> (batch, *(side * stride), channels)."""
        block = math.prod(self.strides)
        return joined([x[..., place::block] for place in range(block)], self.strides)

    def compute_output_shape(self, shape: Any) -> Any:
        """More pixels, fewer channels."""
        return self.multiplied(shape, shape[-1] // math.prod(self.strides))


@keras.saving.register_keras_serializable(PACKAGE)
class Alike(keras.initializers.Initializer):
    """A kernel whose channels are the same in groups, one after the other, each drawn by another initializer.

    Before `PixelShuffle` it makes a convolution begin as one that is followed by repeating pixels.

    Args:
        initializer: of one channel of each group, by Keras' name or as it is.
        count: channels of a group.
    """

    def __init__(self, initializer: Any, count: int) -> None:
        self.initializer, self.count = keras.initializers.get(initializer), count

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """A kernel of that shape, whose last axis is that of the channels."""
        return ops.repeat(self.initializer((*shape[:-1], shape[-1] // self.count), dtype), self.count, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Its arguments."""
        return {"initializer": keras.initializers.serialize(self.initializer), "count": self.count}


def joined(parts: Sequence[Any], strides: Strides) -> Any:
    """One tensor out of those of each place in a block, in row-major order: (batch, *sides, channels) each.

    To put rows between rows, those of a place go behind those of another along the next axis, and then count as rows.
    """
    for axis, stride in reversed([*enumerate(strides, 1)]):
        shape = list(ops.shape(parts[0]))
        shape[0], shape[axis] = -1, shape[axis] * stride
        parts = [
            ops.reshape(ops.concatenate(parts[at : at + stride], axis=axis + 1), shape)
            for at in range(0, len(parts), stride)
        ]
    return parts[0]
