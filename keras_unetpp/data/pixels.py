"""What the numbers of an image mean: its type decides, its values never do; values that do not fit it are told."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.kit.errors import InputWarning

UNITS = {"bool": 255.0, "uint16": 1 / 257}
"""Type of pixels -> factor to 0..255; all other types hold 0..255 as they are."""

SLACK = 0.2
"""Part of the range by which resampled values may lie outside it."""
SHALLOW = 4095
"""A uint16 image that stays below has most likely 8, 10 or 12 bits; one of 16 bits would be nearly black."""
SATURATED = (2**13 - 1, 2**14 - 1, 2**15 - 1)
"""Where a uint16 image ends exactly so, it has most likely 13, 14 or 15 bits, and is overexposed somewhere."""
FAINT, RARE = 32, 0.01
"""Fractions that end below FAINT, and of which hardly any part (RARE) is above 2, are most likely of another unit."""
HOT, ALONE = 1e-5, 4
"""So large a part of the values, or so few of them, may be hot pixels, which say nothing about the range."""
GREY_LEVELS = 256
NEGLIGIBLE = 0.05
"""Part of an image's variance that the constant added to it may be, unseen: contrast falls by half of it."""

NO_DATA = (-9999, -99999, -32767, -32768, -(2**31), 2**31 - 1)
"""Numbers that rasters commonly hold where they know nothing."""
HUGE = 1e15
"""Floats from here on are such numbers as well, as are -3.4e38 and 1e20."""
LIKE_NO_DATA = "which looks like a number for missing data"


def unit(dtype: Any) -> float:
    """The factor that brings pixels of a type, of NumPy or of any back end, to 0..255."""
    return UNITS.get(type_name(dtype), 1.0)


def type_name(dtype: Any) -> str:
    """What NumPy calls a type, whatever library it is of; `bfloat16` and the like, which NumPy lacks, too."""
    name = getattr(dtype, "name", None)
    if isinstance(name, str):
        return name
    text = str(dtype)
    return text.removeprefix("torch.") if text.startswith("torch.") else np.dtype(dtype).name


def to_255(pixels: np.ndarray) -> np.ndarray:
    """Pixels as 0..255: uint8 as it is, bool as uint8 of 0 and 255, all else as float32."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint8:
        return pixels
    factor = np.float32(unit(pixels.dtype))
    scaled = pixels.astype(np.float32)
    return scaled if factor == 1 else scaled * factor


class Intake(NamedTuple):
    """What a network makes of the numbers that it is given, the same in prediction and in training.

    Attributes:
        scaled: it takes pixel values 0..255; else it takes numbers as they are, of a range that it does not tell.
        epsilon: pixels are normalised by an image's mean and variance, to which this is added; None: they are not.
        rounds: it takes whole numbers 0..255 only.
    """

    scaled: bool = True
    epsilon: float | None = None
    rounds: bool = False

    def factor(self, dtype: Any) -> float:
        """What pixels of a type are multiplied by.

        Unit and gain are nothing to a network that normalises, so numbers finer than grey levels stay as they are: of
        few counts in 16 bits, the constant in the variance would leave nothing if these became fractions of a level.
        """
        own = unit(dtype)
        return own if self.epsilon is None or self.rounds else max(own, 1.0)

    def odd(self, pixels: np.ndarray, several: bool = False) -> str | None:
        """What is odd about the values of an image for this network; see `unexpected`.

        Args:
            pixels: of one image, or of several.
            several: whether they are those of several images, along the first axis.
        """
        found = unexpected(pixels, as_is=not self.scaled)
        if found is None or self.epsilon is None or self.rounds or LIKE_NO_DATA in found:
            return found
        parts = pixels if several else [pixels]
        variance = float(np.median([moments(part)[1] for part in parts]))
        return found if self.epsilon > NEGLIGIBLE * variance else None


def moments(pixels: np.ndarray) -> tuple[float, float]:
    """Mean and variance over all of an image, in float64, without a copy of it."""
    mean = sum(part.sum(dtype=np.float64) for part in pixels) / pixels.size
    squares = (np.square(np.subtract(part, mean, dtype=np.float64)).sum() for part in pixels)
    return float(mean), float(sum(squares)) / pixels.size


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
    if as_is and not deep:
        return None
    seen = f"{low:.6g}..{high:.6g}"
    if _fits(pixels, low, high):
        rest = _without_hot(pixels, high)
        if rest is None or _fits(rest, low, float(rest.max())):
            return None
        seen = f"{low:.6g}..{rest.max():.6g} but for {pixels.size - rest.size} of up to {high:.6g}"
    return f"{pixels.dtype} pixels of {seen}, where 0..{65535 if deep else 255} is expected"


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
        return (high > SHALLOW and high not in SATURATED) or _is_8_bit(pixels, low, high)
    if not (1 < high <= 255 * (1 + SLACK) and low >= -SLACK * max(high, FAINT)):
        return False
    if pixels.dtype.kind != "f":
        return True
    return not ((high <= FAINT and _of_another_unit(pixels, low)) or _of_unit_deviation(pixels))


def _is_8_bit(pixels: np.ndarray, low: float, high: float) -> bool:
    """Whether dark uint16 is an image of 8 bits brought to 16, which may be as dark as it likes."""
    return any(not (pixels % step).any() and _fits((pixels // step).astype(np.uint8), low / step, high / step)
               for step in (257, 256))  # fmt: skip


def _without_hot(pixels: np.ndarray, high: float) -> np.ndarray | None:
    """All values but a few outliers above, where these make a range look ordinary that might not be; else None."""
    few = max(HOT * pixels.size, ALONE)
    limits = (SHALLOW, *SATURATED) if pixels.dtype.name == "uint16" else (FAINT,)
    limit = next((one for one in limits if one < high and np.count_nonzero(pixels > one) <= few), None)
    if limit is None or pixels.size <= 4 * few:
        return None
    rest = pixels[pixels <= limit]
    # Whole numbers are dark grey levels, if not counts of a camera of 16 bits.
    return rest if pixels.dtype.name == "uint16" or _has_fractions(rest) else None


def _of_another_unit(pixels: np.ndarray, low: float) -> bool:
    """Whether small floats are most likely divided by 255, by a percentile or by their deviation, not just dark."""
    if not _has_fractions(pixels):
        return False
    if low < 0:
        positive = pixels.sum(where=pixels > 0, dtype=np.float64)
        if -pixels.sum(where=pixels < 0, dtype=np.float64) > SLACK * positive:
            return True  # centred; resampling leaves but a trace below 0
    return bool(np.count_nonzero(pixels > 2) <= RARE * pixels.size) or _is_shrunk(pixels)


def _has_fractions(pixels: np.ndarray) -> bool:
    """Whether any value is no whole number, beyond what rounding does."""
    return pixels.dtype.kind == "f" and bool((np.abs(pixels - np.rint(pixels)) > 1e-3).any())


def _of_unit_deviation(pixels: np.ndarray) -> bool:
    """Whether floats have a deviation of exactly 1, in all channels or in each: they were divided by their own."""
    some = pixels.ravel()[:: max(1, pixels.size // 4096)]
    if not 0.5 < some.std(dtype=np.float64) < 2 or not _has_fractions(some):
        return False
    axes = tuple(range(pixels.ndim - 1)) if 1 <= pixels.shape[-1] <= 4 and pixels.ndim > 2 else None
    return any(bool((np.abs(pixels.std(axis=axis, dtype=np.float64) - 1) < 1e-3).all()) for axis in {None, axes})


def _is_shrunk(pixels: np.ndarray) -> bool:
    """Whether small floats are grey levels of 8 bits, each multiplied by the same odd factor below 1/2.

    Means of some grey levels, and those of cameras of more bits, lie a whole part of one apart, or nearly.
    """
    levels = np.unique(pixels.ravel()[:: max(1, pixels.size // 2**14)])
    if not 4 <= levels.size <= GREY_LEVELS:
        return False
    step = float(np.diff(levels).min())
    numbers = (levels - levels[0]) / step
    if step >= 0.5 or numbers[-1] >= GREY_LEVELS or np.abs(numbers - np.rint(numbers)).max() > 0.02:
        return False
    parts = 1 / step
    of_mean = parts < 64 and abs(parts - round(parts)) < 0.07
    return not of_mean and abs(np.log2(parts) - round(np.log2(parts))) > 0.007


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

    def tell(self, stacklevel: int = 3) -> None:
        """Warn if any image was odd; `stacklevel` as `warnings.warn` takes it, here."""
        if not self.odd:
            return
        count = f" {self.odd} of {self.seen} are odd; the first:" if self.seen > 1 else ""
        way_out = self.way_out
        if LIKE_NO_DATA in self.first:
            way_out = "Replace such pixels, for example by the mean of the others, or leave the image out."
        warnings.warn(f"{self.purpose}:{count} {self.first}. {way_out}", InputWarning, stacklevel)
