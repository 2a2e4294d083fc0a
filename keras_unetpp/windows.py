"""Where the tiles of a large image lie, and how their overlaps are blended. NumPy only."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_unetpp.errors import InputError


class Axis(NamedTuple):
    """Tiles along one side: where each starts, and its weights, which over all tiles sum to 1 at every pixel."""

    starts: tuple[int, ...]
    weights: np.ndarray


def axis(length: int, tile: int, overlap: int, step: int) -> Axis:
    """Tiles of `tile` pixels that cover `length`, overlapping by at least `overlap`, starting at multiples of `step`.

    A tile's weight is 0 in the outer quarter of an overlap, where its view is cut off, and rises as a squared sine
    over the next half. At the ends of the image, where there is no neighbour, it stays 1.

    Raises:
        InputError: unless tile and length are multiples of `step` and 0 <= overlap <= tile - step.
    """
    if tile % step or length % step or tile < step:
        raise InputError(f"tile must be a positive multiple of {step} pixels. Received: {tile}.")
    if not 0 <= overlap <= tile - step:
        raise InputError(f"overlap must be from 0 to {tile - step} pixels for a tile of {tile}. Received: {overlap}.")
    if length <= tile:
        return Axis((0,), np.ones((1, length), np.float32))
    stride = (tile - overlap) // step * step
    starts = (*range(0, length - tile, stride), length - tile)
    margin, ramp = overlap // 4, overlap - 2 * (overlap // 4)
    position = np.arange(tile) + 0.5
    rise = np.sin(np.clip((position - margin) / max(ramp, 1), 0, 1) * np.pi / 2) ** 2
    weights = np.stack(
        [
            (rise if start > 0 else np.ones(tile)) * (rise[::-1] if start < starts[-1] else np.ones(tile))
            for start in starts
        ]
    )
    total = np.zeros(length)
    for start, own in zip(starts, weights, strict=True):
        total[start : start + tile] += own
    shares = [own / total[start : start + tile] for start, own in zip(starts, weights, strict=True)]
    return Axis(starts, np.stack(shares).astype(np.float32))


def windows(axes: tuple[Axis, ...]) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Every tile of an image: its slices, and its weights of shape (*tile sides, 1)."""
    for indices in itertools.product(*(range(len(one.starts)) for one in axes)):
        slices, weight = [], np.ones((1,), np.float32)
        for one, index in zip(axes, indices, strict=True):
            slices.append(slice(one.starts[index], one.starts[index] + one.weights.shape[1]))
            weight = weight[..., None, :] * one.weights[index][:, None]
        yield tuple(slices), weight
