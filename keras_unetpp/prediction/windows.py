"""Where the tiles of a large image lie, and how their overlaps are blended. NumPy only."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.kit.errors import InputError


class Axis(NamedTuple):
    """Tiles along one side.

    Attributes:
        starts: pixel at which each tile starts, ascending.
        weights: (tiles, tile) float32; over all tiles they sum to 1 at every pixel.
    """

    starts: tuple[int, ...]
    weights: np.ndarray

    @property
    def tile(self) -> int:
        """Pixels of a tile."""
        return self.weights.shape[1]

    @property
    def length(self) -> int:
        """Pixels that the tiles cover."""
        return self.starts[-1] + self.tile


def check_tile(tile: Any, overlap: Any, step: int) -> None:
    """Raise `InputError` unless tile is a multiple of `step` and 0 <= overlap <= tile - step."""
    if not isinstance(tile, (int, np.integer)) or tile < step or tile % step:
        raise InputError(f"tile must be a positive multiple of {step} pixels. Received: {tile!r}.")
    if not isinstance(overlap, (int, np.integer)) or not 0 <= overlap <= tile - step:
        raise InputError(f"overlap must be from 0 to {tile - step} pixels for a tile of {tile}. Received: {overlap!r}.")


def axis(length: int, tile: int, overlap: int, step: int) -> Axis:
    """Tiles of `tile` pixels that cover `length`, overlapping by at least `overlap`, starting at multiples of `step`.

    A tile's weight is 0 in the outer quarter of an overlap, where its view is cut off, and rises as a squared sine
    over the next half. At the ends of the image, where there is no neighbour, it stays 1. So what a tile gives is used
    only where it sees at least overlap // 4 pixels to each side, or all that there is. One tile is enough for
    `length <= tile`; it then is `length` long.

    Args:
        length: pixels, a multiple of `step`.
        tile: pixels, a multiple of `step`.
        overlap: pixels, from 0 to tile - step.
        step: pixels, at least 1.

    Raises:
        InputError: for a tile or an overlap that is not so.
    """
    check_tile(tile, overlap, step)
    if length <= tile:
        return Axis((0,), np.ones((1, length), np.float32))
    starts = (*range(0, length - tile, (tile - overlap) // step * step), length - tile)
    margin = overlap // 4
    rise = np.clip((np.arange(tile) + 0.5 - margin) / max(overlap - 2 * margin, 1), 0, 1)
    rise = np.sin(rise * np.pi / 2) ** 2
    weights = np.tile(rise * rise[::-1], (len(starts), 1))
    weights[0], weights[-1] = rise[::-1], rise
    total = np.zeros(length)
    for start, own in zip(starts, weights, strict=True):
        total[start : start + tile] += own
    for start, own in zip(starts, weights, strict=True):
        own /= total[start : start + tile]
    return Axis(starts, weights.astype(np.float32))


def evened(length: int, tile: int, overlap: int, step: int) -> int:
    """The smallest tile with which `axis` covers `length` by as few tiles as with `tile`; at most `tile`.

    With overlap' rounded up to a multiple of the step, n tiles cover n * (tile - overlap') + overlap'.
    """
    if length <= tile:
        return tile
    shared = -(-overlap // step) * step
    count = -((shared - length) // (tile - shared))
    return shared + -((shared - length) // (count * step)) * step


def windows(axes: tuple[Axis, ...]) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Every tile of an image, one at a time: its slices, and its weights of shape (*tile sides, 1)."""
    for tiles in itertools.product(*(zip(one.starts, one.weights, strict=True) for one in axes)):
        weight = np.ones(1, np.float32)
        for _, own in reversed(tiles):
            weight = np.multiply.outer(own, weight)
        yield tuple(slice(start, start + len(own)) for start, own in tiles), weight
