"""What the numbers of an image mean: its type decides, its values never do; values that do not fit it are told."""

import warnings
from typing import Any

import numpy as np

from keras_unetpp.errors import InputWarning

UNITS = {"bool": 255.0, "uint16": 1 / 257}
"""Type of pixels -> factor to 0..255; all other types hold 0..255 as they are."""

SLACK = 0.1
"""Part of the range by which resampled values may lie outside it."""
SHALLOW = 4095
"""A uint16 image that stays below has most likely 8, 10 or 12 bits; one of 16 bits would be nearly black."""
SATURATED = (2**13 - 1, 2**14 - 1, 2**15 - 1)
"""Where a uint16 image ends exactly so, it has most likely 13, 14 or 15 bits, and is overexposed somewhere."""
FAINT, RARE = 32, 0.01
"""Fractions that end below FAINT, and of which hardly any part (RARE) is above 2, are most likely of another unit."""

NO_DATA = (-9999, -99999, -32767, -32768, -(2**31), 2**31 - 1)
"""Numbers that rasters commonly hold where they know nothing."""
HUGE = 1e15
"""Floats from here on are such numbers as well, as are -3.4e38 and 1e20."""
LIKE_NO_DATA = "which looks like a number for missing data"


def unit(dtype: Any) -> float:
    """The factor that brings pixels of a type to 0..255."""
    return UNITS.get(np.dtype(dtype).name, 1.0)


def to_255(pixels: np.ndarray) -> np.ndarray:
    """Pixels as 0..255: uint8 as it is, bool as uint8 of 0 and 255, all else as float32."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint8:
        return pixels
    factor = np.float32(unit(pixels.dtype))
    scaled = pixels.astype(np.float32)
    return scaled if factor == 1 else scaled * factor


def unexpected(pixels: np.ndarray, as_is: bool = False) -> str | None:
    """What is odd about the values of an image, given its type, as part of a sentence; None if nothing is.

    Args:
        pixels: in the type that they were given or read in.
        as_is: for a network that takes numbers of any range, so that only those are odd that are scaled by their type,
            and those that look like a number for missing data.

    >>> unexpected(np.array([0.0, 0.5, 1.0]))
    'float64 pixels of 0..1, where 0..255 is expected'
    >>> unexpected(np.array([0, 90, 255], "uint8")) is None
    True
    """
    if pixels.dtype == bool or not pixels.size:
        return None
    low, high = float(pixels.min()), float(pixels.max())
    for value in (low, high):
        if _stands_for_nothing(pixels.dtype, value):
            share = np.mean(pixels == pixels.dtype.type(value))
            return f"{pixels.dtype} pixels of {value:.6g} ({share:.2%} of them), {LIKE_NO_DATA}"
    deep = pixels.dtype.name == "uint16"
    if (as_is and not deep) or _fits(pixels, low, high):
        return None
    return f"{pixels.dtype} pixels of {low:.6g}..{high:.6g}, where 0..{65535 if deep else 255} is expected"


def _stands_for_nothing(dtype: np.dtype, value: float) -> bool:
    if dtype.kind == "u":
        return False
    return value in NO_DATA or (dtype.kind == "f" and HUGE <= abs(value) < np.inf)


def _fits(pixels: np.ndarray, low: float, high: float) -> bool:
    """Whether values from `low` to `high` can be meant as their type says."""
    deep = pixels.dtype.name == "uint16"
    if low == high and (deep or 0 <= low <= 255):
        return True  # a blank image
    if deep:
        return high > SHALLOW and high not in SATURATED
    if not (1 < high <= 255 * (1 + SLACK) and low >= -SLACK * max(high, FAINT)):
        return False
    return high > FAINT or pixels.dtype.kind != "f" or not _of_another_unit(pixels, low)


def _of_another_unit(pixels: np.ndarray, low: float) -> bool:
    """Whether small floats are most likely divided by 255, by a percentile or by their deviation, not just dark."""
    if not (pixels % 1).any():
        return False
    if low < 0:
        positive = pixels.sum(where=pixels > 0, dtype=np.float64)
        if -pixels.sum(where=pixels < 0, dtype=np.float64) > SLACK * positive:
            return True  # centred; resampling leaves but a trace below 0
    return bool(np.count_nonzero(pixels > 2) <= RARE * pixels.size)


class Ranges:
    """Looks at the images of one call and tells, once, what is odd about their values.

    Args:
        purpose: what the images were given for, the start of the text, such as "Images to train on".
        way_out: what to do about a range that is not the expected one, the end of the text.
    """

    def __init__(self, purpose: str, way_out: str = "") -> None:
        self.purpose = purpose
        self.way_out = way_out or (
            "Nothing is rescaled by its values: bring pixels to 0..255, or to 0..65535 in uint16."
        )
        self.seen, self.odd, self.first = 0, 0, ""
        self._said: set[str] = set()

    def look(self, pixels: np.ndarray, name: object = "") -> None:
        """Take in an image as it was given or read, in its own type; `name` is said if it is the first odd one."""
        self.add(unexpected(pixels), name)

    def add(self, found: str | None, name: object = "") -> None:
        """Take in what `unexpected`, or who knows better what a network takes, has found about an image."""
        self.seen += 1
        if found is not None:
            self.first = self.first or found + (f" ({name})" if str(name) else "")
            self.odd += 1

    def say(self, text: str) -> None:
        """Warn at once of something else about the images, unless the same was said before."""
        if text not in self._said:
            self._said.add(text)
            warnings.warn(text, InputWarning, stacklevel=3)

    def tell(self) -> None:
        """Warn if any image was odd."""
        if not self.odd:
            return
        count = f" {self.odd} of {self.seen} are odd; the first:" if self.seen > 1 else ""
        way_out = self.way_out
        if LIKE_NO_DATA in self.first:
            way_out = "Replace such pixels, for example by the mean of the others, or leave the image out."
        warnings.warn(f"{self.purpose}:{count} {self.first}. {way_out}", InputWarning, stacklevel=3)
