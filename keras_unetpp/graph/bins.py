"""Layers that take an image of any sides to a few cells, and back; in `keras.ops`, and in float32 within.

Each axis is one product with a matrix made for its length, so that sides may be open, which those of Keras' own
adaptive pooling may not, and so that every format of exported files has what they do.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="keras_unetpp")
class BinPool(keras.layers.Layer):
    """Means over windows, as many along each axis for any image; see `spec.whole.BinPool`.

    Args:
        bins: windows along an axis.
    """

    def __init__(self, bins: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = bins

    def call(self, x: Any) -> Any:
        """(batch, *sides, channels) -> (batch, bins, .., bins, channels)."""
        return _along_each(x, [self._windows] * (len(x.shape) - 2), self.compute_dtype)

    def _windows(self, side: Any) -> Any:
        """A row for each window, which ends where pixel * bins reaches (window + 1) * side: without a division."""
        window, pixel = ops.arange(self.bins)[:, None], ops.arange(side)[None, :]
        begun, not_ended = window * side < (pixel + 1) * self.bins, pixel * self.bins < (window + 1) * side
        inside = ops.cast(ops.logical_and(begun, not_ended), "float32")
        return inside / ops.sum(inside, axis=1, keepdims=True)

    def compute_output_shape(self, shape: Shape) -> Shape:
        """The bins for sides."""
        return (shape[0], *(self.bins for _ in shape[1:-1]), shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Keras' own, and the bins."""
        return {**super().get_config(), "bins": self.bins}


@keras.saving.register_keras_serializable(package="keras_unetpp")
class Spread(keras.layers.Layer):
    """A few cells over the sides of another tensor, linearly between their centres; see `spec.whole.Spread`."""

    def call(self, tensors: Sequence[Any]) -> Any:
        """(batch, *cells, channels), (batch, *sides, any) -> (batch, *sides, channels)."""
        x, like = tensors
        axes = range(1, len(x.shape) - 1)
        return _along_each(x, [_between(ops.shape(like)[axis]) for axis in axes], self.compute_dtype)

    def compute_output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """The sides of the second."""
        return (*shapes[1][:-1], shapes[0][-1])


def _between(side: Any) -> Callable[[Any], Any]:
    """Cells -> matrix: a row for each pixel of a side, which has a share of the two cells whose centres are nearest."""

    def matrix(cells: Any) -> Any:
        centre = (ops.cast(ops.arange(side), "float32") + 0.5) * (cells / ops.cast(side, "float32")) - 0.5
        apart = ops.clip(centre, 0.0, cells - 1.0)[:, None] - ops.arange(cells, dtype="float32")[None, :]
        return ops.maximum(1.0 - ops.abs(apart), 0.0)

    return matrix


def _along_each(x: Any, matrices: Sequence[Callable[[Any], Any]], dtype: str) -> Any:
    """Each side of (batch, *sides, channels) times a matrix that is made for its length."""
    y = ops.cast(x, "float32")
    for axis, matrix in enumerate(matrices, 1):
        sides = list(ops.shape(y))
        rest = sides[axis + 1]
        for side in sides[axis + 2 :]:
            rest = rest * side
        weights = matrix(sides[axis])
        product = ops.matmul(weights, ops.reshape(y, (-1, sides[axis], rest)))
        y = ops.reshape(product, (*sides[:axis], ops.shape(weights)[0], *sides[axis + 1 :]))
    return ops.cast(y, dtype)
