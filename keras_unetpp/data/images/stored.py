"""What a file stores, before its numbers are given a meaning, and the samples of an image that they stand for."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from keras_unetpp.data.images.formats import FilePath
from keras_unetpp.kit.errors import InputError, InputWarning

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601). The sum is taken in float32 and in this order, so that every
program that does so comes to the same grey level where a sum is nearly half-way between two."""

_TURNS = {  # tag 274 of TIFF and EXIF -> rows and columns exchanged, then rows reversed, then columns reversed
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
ORIENTATION = 274
"""The tag of TIFF and EXIF that says how a picture is to be turned."""


@dataclass(frozen=True)
class Stored:
    """Numbers as they stand in a file.

    Attributes:
        values: ([depth,] height, width, channels); indices where there is a palette.
        bits: significant bits of a sample that is an integer; 0 where the samples of a pixel differ in it.
        alpha: the last channel is opacity.
        palette: (entries, 3 or 4) of uint8, RGB or RGBA.
        white_is_zero: the highest number stands for black.
        nodata: the number that marks pixels without a value.
    """

    values: np.ndarray
    bits: int
    alpha: bool = False
    palette: np.ndarray | None = None
    white_is_zero: bool = False
    nodata: float | None = None

    def turned(self, orientation: object) -> "Stored":
        """The picture as it is to be seen."""
        swap, down, across = _turn(orientation)
        if not (swap or down or across):
            return self
        values = self.values.swapaxes(-3, -2) if swap else self.values
        values = values[..., ::-1, :, :] if down else values
        values = values[..., ::-1, :] if across else values
        return replace(self, values=np.ascontiguousarray(values))  # PyTorch takes no array that runs backwards

    def as_volume(self) -> "Stored":
        """The picture as the one slice of a volume."""
        return replace(self, values=self.values[None])


def _turn(orientation: object) -> tuple[bool, bool, bool]:
    return _TURNS.get(orientation if isinstance(orientation, int) else 1, _TURNS[1])


def turned_size(height: int, width: int, orientation: object) -> tuple[int, int]:
    """Height and width of a picture as it is to be seen."""
    return (width, height) if _turn(orientation)[0] else (height, width)


def samples(stored: Stored, path: FilePath, channels: int | None = None) -> np.ndarray:
    """The samples of an image, in bool, uint8 or uint16, each spanning its range, or float32.

    Args:
        stored: from a decoder.
        path: named in errors.
        channels: the count wanted; alpha is kept only where it makes up that count.

    Raises:
        InputError: NaN or infinite pixels, integers of another kind, an image without a single valid pixel.
    """
    pixels = _spanning(stored, path)
    if stored.alpha and stored.palette is None and pixels.shape[-1] != channels:
        pixels = pixels[..., :-1]
    left_out = _left_out(stored)
    if left_out is not None:
        pixels = _filled(pixels, left_out, stored.nodata, path)
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            pixels = pixels.astype(np.float32)
        if not np.isfinite(pixels).all():
            raise InputError(
                f"pixels must be finite; {path} holds NaN or infinity: replace them, or leave the file out"
            )
    return pixels


def _spanning(stored: Stored, path: FilePath) -> np.ndarray:
    values, top = stored.values, 2**stored.bits - 1
    if stored.palette is not None:
        entry = int(values.min(initial=0)) or int(values.max(initial=0))
        if not 0 <= entry < len(stored.palette):
            raise InputError(f"cannot read {path}: its palette has {len(stored.palette)} colours, a pixel is {entry}")
        return stored.palette[values[..., 0].astype(np.intp), :3]
    if values.dtype.kind == "f":
        return values
    if values.dtype not in (bool, np.uint8, np.uint16):
        raise InputError(
            f"an image must hold 8-bit, 16-bit or floating-point pixels; {path} holds {values.dtype}: save it as "
            "16-bit unsigned, or as floating-point 0..255"
        )
    if stored.white_is_zero:
        values = ~values if values.dtype == bool else values.dtype.type(top) - values
    if values.dtype != bool and stored.bits not in (0, 8, 16):
        span = np.iinfo(values.dtype).max
        values = np.rint(values * np.float64(span / top)).clip(0, span).astype(values.dtype)
    return values


def _left_out(stored: Stored) -> np.ndarray | None:
    """Where an image has no value, per pixel or, for floating point, per sample; None if it has one everywhere.

    Zero or 255 in one channel is a colour like any other, so all channels of integers must agree.
    """
    if stored.nodata is None:
        return None
    values = stored.values[..., :-1] if stored.alpha else stored.values
    if values.dtype.kind == "f":
        found = _near(values, stored.nodata)
    else:
        found = (values == stored.nodata).all(-1, keepdims=True)
    return found if found.any() else None


def _near(values: np.ndarray, nodata: float) -> np.ndarray:
    """Where floating-point numbers are the one that a text of some digits, and perhaps for 64 bits, stands for."""
    limit = float(np.finfo(values.dtype).max)
    if abs(nodata) >= limit:
        return values >= limit if nodata > 0 else values <= -limit
    return np.isclose(values, values.dtype.type(nodata), rtol=1e-6, atol=0, equal_nan=True)


def _filled(pixels: np.ndarray, left_out: np.ndarray, nodata: float | None, path: FilePath) -> np.ndarray:
    left_out = np.broadcast_to(left_out, pixels.shape) if left_out.shape[-1] == 1 else left_out
    pixels = pixels.copy()
    for channel in range(left_out.shape[-1]):  # an alpha channel that is kept lies behind them
        valid = ~left_out[..., channel]
        if not valid.any():
            raise InputError(f"{path} holds nothing but {nodata:g}, which it names as nodata: leave the file out")
        mean = pixels[..., channel][valid].mean(dtype=np.float64)
        pixels[..., channel][~valid] = mean if pixels.dtype.kind == "f" else round(mean)
    where = left_out.any(-1)
    warnings.warn(
        f"{path}: {where.sum()} of {where.size} pixels hold {nodata:g}, which the file names as nodata. They are taken "
        "as the mean of the others; mark them in the mask if they must not count.",
        InputWarning,
        stacklevel=5,
    )
    return pixels


def match_channels(pixels: np.ndarray, channels: int | None, path: FilePath) -> np.ndarray:
    """Grey repeated to 3 channels, or RGB turned to grey by luma (ITU-R BT.601), if that is what is wanted."""
    found = pixels.shape[-1]
    if channels in (None, found):
        return pixels
    if (found, channels) == (1, 3):
        return np.repeat(pixels, 3, axis=-1)
    if (found, channels) == (3, 1):
        red, green, blue = (pixels[..., index : index + 1].astype(np.float32) * np.float32(weight)
                            for index, weight in enumerate(LUMA))  # fmt: skip
        luma = red + green + blue
        return luma if pixels.dtype.kind == "f" else np.rint(luma).astype(pixels.dtype)
    raise InputError(f"{channels} channel(s) required, {path} has {found}; convert it, or ask for {found}")
