"""Layers between rows of different resolution that Keras lacks; in `keras.ops`, for images and volumes of any sides."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

PACKAGE = "keras_unetpp"
"""Under which files name these classes; they open where this package is imported."""

Strides = tuple[int, ...]


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

    def multiplied(self, shape: Sequence[int | None], channels: int) -> tuple[int | None, ...]:
        """A shape with each known side times its stride, and other channels."""
        sides = (side and side * stride for side, stride in zip(shape[1:-1], self.strides, strict=True))
        return shape[0], *sides, channels


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
