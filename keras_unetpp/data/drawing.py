"""Outlines and run lengths as pixels. Coordinates are (x, y) in pixels; the upper left corner of an image is (0, 0)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_unetpp.kit.errors import InputError

Size = tuple[int, int]
"""(height, width) in pixels."""


def polygon(points: Sequence[Sequence[float]], size: Size) -> np.ndarray:
    """Pixels whose centre lies inside a closed outline, bool (height, width); one that crosses itself has holes.

    Each row of pixels is looked along at the height of its centres: inside is what lies between an odd crossing of the
    outline and the next.

    >>> polygon([(1, 1), (3, 1), (3, 2), (1, 2)], (3, 4)).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    height, width = size
    crossed = np.zeros((height, width + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        rows = np.arange(max(math.ceil(y0 - 0.5), 0), min(math.ceil(y1 - 0.5), height))
        if rows.size:
            x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            crossed[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] ^= 1
    return np.bitwise_xor.accumulate(crossed, axis=1)[:, :width].astype(bool)


def rectangle(points: Sequence[Sequence[float]], size: Size) -> np.ndarray:
    """Pixels inside the rectangle whose sides are upright and of which two opposite corners, or all four, are given."""
    (left, right), (top, bottom) = ((min(values), max(values)) for values in zip(*points, strict=True))
    return polygon([(left, top), (right, top), (right, bottom), (left, bottom)], size)


def circle(points: Sequence[Sequence[float]], size: Size) -> np.ndarray:
    """Pixels whose centre lies in the circle given by its centre and a point on it."""
    (x, y), (edge_x, edge_y) = points
    rows, columns = np.ogrid[: size[0], : size[1]]
    return np.asarray((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= (edge_x - x) ** 2 + (edge_y - y) ** 2)


def run_lengths(counts: Any, size: Size) -> np.ndarray:
    """Pixels of COCO's run lengths, which go down the columns and begin with the background.

    Args:
        counts: a list of numbers, or the text that they are packed into.
        size: of the image.

    Raises:
        InputError: they are no run lengths of an image of this size.
    """
    height, width = size
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    whole = isinstance(runs, list) and all(type(run) is int and run >= 0 for run in runs)
    if not whole or sum(runs) != height * width:
        raise InputError(f"the run lengths do not add up to {height} x {width} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _unpacked(text: str) -> list[int]:
    """COCO's packed run lengths: 5 bits a character, and from the fourth on each number less the one two before."""
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise InputError("the packed run lengths hold what none can")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
