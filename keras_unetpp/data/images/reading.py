"""Image and mask files read whole: pixel values 0..255 with channels last, label ids as integers."""

import warnings

import numpy as np

from keras_unetpp.data.images import pillow, tiff, webp
from keras_unetpp.data.images.formats import MAX_PIXELS, FilePath, check_limit, opened
from keras_unetpp.data.images.stored import Stored, match_channels, samples
from keras_unetpp.data.pixels import to_255
from keras_unetpp.kit.errors import InputError, InputWarning


def read_image(path: FilePath, channels: int | None = None, ndim: int = 2, *,
               max_pixels: int = MAX_PIXELS) -> np.ndarray:  # fmt: skip
    """Read an image as pixel values 0..255: (height, width, channels), or (depth, height, width, channels).

    8-bit files give uint8, 16-bit files float32 (value / 257), files of other bits the same by their bits: the highest
    number that they can hold is 255. Floating-point TIFF is taken as it is, so it must hold 0..255. A palette becomes
    RGB, the orientation that EXIF or TIFF tell is applied, and pixels that a TIFF names as nodata (GDAL) are taken as
    the mean of the others, which an `InputWarning` tells.

    The content decides on the format, whatever the name, but for BMP and WebP, which must be named so. Nothing but the
    one file is read.

    Args:
        path: PNG, JPEG, BMP, WebP or TIFF file.
        channels: the count wanted: alpha is dropped, grey repeated to 3, RGB turned to grey by luma (ITU-R BT.601).
            None takes what the file has, without alpha.
        ndim: 2, or 3 for a multi-page TIFF. Planes of a TIFF that does not name its axes are slices then.
        max_pixels: pixels or voxels that the file may have; it is looked at before any of them is decoded.

    Raises:
        InputError: unreadable or incomplete file, colours other than grey, palette and RGB, NaN or infinite pixels, or
            a count of channels that does not fit.
    """
    return to_255(read_samples(path, channels, ndim, max_pixels=max_pixels))


def read_samples(path: FilePath, channels: int | None = None, ndim: int = 2, *,
                 max_pixels: int = MAX_PIXELS) -> np.ndarray:  # fmt: skip
    """Read an image as `read_image` does, but in a type of the file: bool, uint8, uint16 over 0..65535, or float32.

    So it is what `segment` takes as an array, and its values can be judged by their type; see `pixels`.
    """
    stored = _decode(path, ndim, channels, max_pixels)
    return match_channels(samples(stored, path, channels), channels, path)


def read_mask(path: FilePath, ndim: int = 2, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a mask as integer label ids: (height, width), or (depth, height, width); 0 is background.

    Ids are the numbers as they stand in the file: of any count of bits, indices of a palette, and not inverted where a
    TIFF says that 0 is white. Alpha is no id; where it alone has a shape in it, an `InputWarning` says so.

    Args:
        path: PNG, BMP or lossless WebP (grey, 1-bit, or palette), or integer TIFF; RGB only if its channels are equal.
        ndim: 2, or 3 for a multi-page TIFF.
        max_pixels: see `read_image`.

    Raises:
        InputError: a lossy or unreadable file, values that are not whole numbers, or channels that differ.
    """
    check_mask(path)
    stored = _decode(path, ndim, 1, max_pixels)
    ids = stored.values[..., :-1] if stored.alpha else stored.values
    if not (np.issubdtype(ids.dtype, np.integer) or ids.dtype == bool) or not stored.bits:
        found = ids.dtype if stored.bits else "samples of different bits"
        raise InputError(f"a mask must hold integer label ids; {path} holds {found}: save it as 8- or 16-bit")
    if (ids != ids[..., :1]).any():
        raise InputError(
            f"a mask must have one channel of label ids, or equal channels; the {ids.shape[-1]} channels of {path} "
            "differ: turn its colours into ids 0, 1, 2, ..."
        )
    _tell_doubts(stored, path)
    ids = ids[..., 0]
    return ids.astype(np.uint8) if ids.dtype == bool else ids


def check_mask(path: FilePath) -> None:
    """Look at the header of a mask file.

    Raises:
        InputError: a format or compression that changes label ids.
    """
    with opened(path) as (file, name):
        if name == "TIFF":
            lossy = tiff.lossy(file, path)
        elif name == "WebP":
            lossy = "" if webp.read_chunks(file).lossless else "lossy WebP"
        else:
            lossy = name if name == "JPEG" else ""
    if lossy:
        raise InputError(f"a mask must be PNG or TIFF, since {lossy} changes label ids; got {path}: save it as PNG")


def image_size(path: FilePath, ndim: int = 2, channels: int | None = None) -> tuple[int, ...]:
    """Return (height, width), or (depth, height, width), from the header alone, as `read_image` would give it.

    Raises:
        InputError: missing or unreadable file, or what `read_image` raises of its axes.
    """
    with opened(path) as (file, name):
        if name == "TIFF":
            return tiff.size(file, path, ndim, channels)
        sides = pillow.size(file, name)
    return sides if ndim == 2 else (1, *sides)


def _decode(path: FilePath, ndim: int, channels: int | None, limit: int) -> Stored:
    check_limit(limit)
    with opened(path) as (file, name):
        if name == "TIFF":
            return tiff.decode(file, path, ndim, channels, limit)
        stored = pillow.decode(file, name, limit)
    return stored if ndim == 2 else stored.as_volume()


def _tell_doubts(stored: Stored, path: FilePath) -> None:
    if _shape_in_alpha(stored):
        doubt = (
            "has one colour everywhere, and its shapes in the alpha channel, which is not read: save alpha as a "
            "grey PNG"
        )
    elif stored.white_is_zero and stored.values.dtype == bool:
        doubt = (
            "has 1 bit, of which 0 is white. The numbers are taken as they are stored, so what is shown black is "
            "foreground: save it as an 8-bit PNG if it is not"
        )
    else:
        return
    warnings.warn(f"The mask {path} {doubt}.", InputWarning, stacklevel=3)


def _shape_in_alpha(stored: Stored) -> bool:
    """Whether opacity differs where colours do not."""
    if stored.palette is not None and stored.palette.shape[-1] == 4:
        used = np.unique(stored.values)
        colours = stored.palette[used[used < len(stored.palette)]]
    elif stored.alpha:
        colours = stored.values.reshape(-1, stored.values.shape[-1])
    else:
        return False
    same = colours == colours[:1]
    return bool(same[:, :-1].all() and not same[:, -1].all())
