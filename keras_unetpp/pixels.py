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


def unexpected(pixels: np.ndarray) -> str | None:
    """What is odd about the values of an image, given its type, as part of a sentence; None if nothing is.

    >>> unexpected(np.array([0.0, 0.5, 1.0]))
    'float64 pixels of 0..1, where 0..255 is expected'
    >>> unexpected(np.array([0, 90, 255], "uint8")) is None
    True
    """
    if pixels.dtype == bool or not pixels.size:
        return None
    low, high = float(pixels.min()), float(pixels.max())
    top = 65535 if pixels.dtype == np.uint16 else 255
    if not _fits(pixels, low, high):
        return f"{pixels.dtype} pixels of {low:.6g}..{high:.6g}, where 0..{top} is expected"
    return None


def _fits(pixels: np.ndarray, low: float, high: float) -> bool:
    if low == high and (0 <= low <= 255 or pixels.dtype == np.uint16):
        return True  # a blank image
    if pixels.dtype == np.uint16:
        return high > SHALLOW
    fraction = pixels.dtype.kind == "f" and high <= 2 and bool((pixels % 1).any())
    return high > 1 and not fraction and low >= -SLACK * max(high, 1) and high <= 255 * (1 + SLACK)


class Ranges:
    """Looks at the images of one call and tells, once, what is odd about their values.

    Args:
        purpose: what the images were given for, the start of the text, such as "Images to train on".
        way_out: what to do, the end of the text.
    """

    def __init__(self, purpose: str, way_out: str = "") -> None:
        self.purpose, self.way_out = purpose, way_out
        self.seen, self.odd, self.first = 0, 0, ""

    def look(self, pixels: np.ndarray, name: object = "") -> None:
        """Take in an image as it was given or read, in its own type; `name` is said if it is the first odd one."""
        self.seen += 1
        found = unexpected(pixels)
        if found is not None:
            self.first = self.first or found + (f" ({name})" if str(name) else "")
            self.odd += 1

    def tell(self) -> None:
        """Warn if any image was odd."""
        if self.odd:
            count = f" {self.odd} of {self.seen} are odd; the first:" if self.seen > 1 else ""
            way_out = self.way_out or (
                "Nothing is rescaled by its values: bring pixels to 0..255, or to 0..65535 in uint16."
            )
            warnings.warn(f"{self.purpose}:{count} {self.first}. {way_out}", InputWarning, stacklevel=3)
