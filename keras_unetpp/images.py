"""Image and mask files as arrays: pixel values 0..255 with channels last, label ids as integers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_unetpp.errors import InputError
from keras_unetpp.files import replacing
from keras_unetpp.pixels import to_255

JPEG = (".jpg", ".jpeg")
EXTENSIONS = (".png", *JPEG, ".tif", ".tiff")

FilePath = str | os.PathLike[str]

# Pillow keeps only the high byte of 16-bit colour. Its unpackers for the other byte order read the low byte, and the
# four bytes of grey + alpha fit an 8-bit RGBA pixel; so all 16 bits can be had by naming the unpacker.
_DEEP_COLOUR = {"RGB;16B": ("RGB;16B", "RGB;16L"), "RGBA;16B": ("RGBA;16B", "RGBA;16L"), "LA;16B": ("RGBA",)}
_ORIENTATION = 0x0112  # EXIF tag; values 5..8 swap height and width


def read_image(path: FilePath, channels: int | None = None, ndim: int = 2) -> np.ndarray:
    """Read an image as pixel values 0..255: (height, width, channels), or (depth, height, width, channels).

    8-bit files give uint8, 16-bit files float32 (value / 257); floating-point TIFF is taken as it is, so it must hold
    0..255. A palette becomes RGB and EXIF orientation is applied.

    Args:
        path: PNG, JPEG or TIFF file.
        channels: the count wanted: alpha is dropped, grey repeated to 3, RGB turned to grey by luma (ITU-R BT.601).
            None takes what the file has, without alpha.
        ndim: 2, or 3 for a multi-page TIFF.

    Raises:
        InputError: unreadable file, NaN or infinite pixels, or a count of channels that does not fit.
    """
    return to_255(read_samples(path, channels, ndim))


def read_samples(path: FilePath, channels: int | None = None, ndim: int = 2) -> np.ndarray:
    """Read an image as `read_image` does, but in a type of the file: bool, uint8, uint16 over 0..65535, or float32.

    So it is what `segment` takes as an array, and its values can be judged by their type; see `pixels`.
    """
    with _reading(path):
        pixels, alpha = _decode(path, ndim)
    if alpha and pixels.shape[-1] != channels:
        pixels = pixels[..., :-1]
    return _match_channels(_checked(pixels, path), channels, path)


def read_mask(path: FilePath, ndim: int = 2) -> np.ndarray:
    """Read a mask as integer label ids: (height, width), or (depth, height, width); 0 is background.

    Args:
        path: PNG (grey, 1-bit, or palette: its indices) or integer TIFF; RGB only if its channels are equal.
        ndim: 2, or 3 for a multi-page TIFF.

    Raises:
        InputError: a lossy or unreadable file, values that are not whole numbers, or channels that differ.
    """
    with _reading(path):
        if _format(path) == "JPEG":
            raise InputError(f"a mask must be PNG or TIFF, since JPEG changes label ids; got {path}: save it as PNG")
        ids, alpha = _decode(path, ndim, indices=True)
    if alpha:
        ids = ids[..., :-1]
    if not (np.issubdtype(ids.dtype, np.integer) or ids.dtype == bool):
        raise InputError(f"a mask must hold integer label ids; {path} holds {ids.dtype}: save it as 8- or 16-bit")
    if (ids != ids[..., :1]).any():
        raise InputError(
            f"a mask must have one channel of label ids, or equal channels; the {ids.shape[-1]} channels of {path} "
            "differ: turn its colours into ids 0, 1, 2, ..."
        )
    ids = ids[..., 0]
    return ids.astype(np.uint8) if ids.dtype == bool else ids


def image_size(path: FilePath, ndim: int = 2) -> tuple[int, ...]:
    """Return (height, width), or (depth, height, width), from the header alone, as `read_image` would give it.

    Raises:
        InputError: missing or unreadable file.
    """
    with _reading(path):
        if _format(path) == "TIFF":
            from tifffile import TiffFile

            with TiffFile(path) as tiff:
                series = tiff.series[0]
                order = _axes_order(series.axes, series.shape, ndim)
                return tuple(1 if axis is None else series.shape[axis] for axis in order[:-1])
        from PIL import Image

        with Image.open(path) as image:
            width, height = image.size
            # Pillow decodes a whole PNG to look for EXIF behind the pixels, which hardly any writer puts there.
            exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            size = (width, height) if exif.get(_ORIENTATION, 1) >= 5 else (height, width)
            return size if ndim == 2 else (1, *size)


def list_images(folder: FilePath) -> list[Path]:
    """Return the supported image files of `folder`, sorted by name; hidden files are left out.

    Raises:
        InputError: no such folder, or none of its files is supported.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"an image folder is required; {folder} is {'a file' if folder.exists() else 'missing'}")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and not p.name.startswith("."))
    if not paths:
        raise InputError(f"{folder} holds no image; supported are {', '.join(EXTENSIONS)}")
    return paths


def write_png(path: FilePath, array: np.ndarray) -> None:
    """Write a PNG whole or not at all.

    Args:
        path: the file; an old one is replaced only when the new one is complete.
        array: (height, width[, 1]) of uint8, uint16 or bool (True becomes 255), or (height, width, 3) of uint8.

    Raises:
        InputError: any other shape or type.
        OSError: the file cannot be written; the text names it.
    """
    from PIL import Image

    pixels = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    rgb = pixels.ndim == 3 and pixels.shape[-1] == 3
    if not (rgb or pixels.ndim == 2) or pixels.dtype not in ((np.uint8,) if rgb else (np.uint8, np.uint16)):
        raise InputError(
            "a PNG takes (height, width) of uint8, uint16 or bool, or (height, width, 3) of uint8; "
            f"got {array.dtype} of shape {array.shape} for {path}"
        )
    with replacing(path) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG")


@contextmanager
def _reading(path: FilePath) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except Exception as error:  # decoders meet broken files with whatever exception is nearest
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        extra = ': pip install "keras-unetpp[tiff]"' if "imagecodecs" in reason else ""
        raise InputError(f"cannot read {path}: {' '.join(reason.split())}{extra}") from error


def _format(path: FilePath) -> str:
    """Return TIFF, JPEG or "", by content: names mislead."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    return "JPEG" if start.startswith(b"\xff\xd8") else ""


def _decode(path: FilePath, ndim: int, indices: bool = False) -> tuple[np.ndarray, bool]:
    """Return the samples with channels last, and whether the last channel is alpha; `indices` keeps a palette's."""
    if _format(path) == "TIFF":
        return _decode_tiff(path, ndim, indices)
    pixels, alpha = _decode_pillow(path, indices)
    return (pixels if ndim == 2 else pixels[None]), alpha


def _decode_pillow(path: FilePath, indices: bool) -> tuple[np.ndarray, bool]:
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        unpackers = _DEEP_COLOUR.get(_unpacker(opened))
        if unpackers:
            return _decode_deep(path, unpackers), opened.mode == "RGBA"
        image = ImageOps.exif_transpose(opened)
    if image.mode == "I":  # what Pillow before 11 calls 16-bit grey
        return np.asarray(image).astype(np.uint16)[..., None], False
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA") and not image.mode.startswith("I;16"):
        image = image if indices and image.mode == "P" else image.convert("RGB")
    pixels = np.asarray(image)
    return (pixels if pixels.ndim == 3 else pixels[..., None]), image.mode in ("LA", "RGBA")


def _unpacker(image: Any) -> str:
    return image.tile[0][3] if image.format == "PNG" and image.tile else ""


def _decode_deep(path: FilePath, unpackers: tuple[str, ...]) -> np.ndarray:
    from PIL import Image, ImageOps

    parts = []
    for unpacker in unpackers:
        with Image.open(path) as image:
            image.tile = [(*image.tile[0][:3], unpacker)]  # type: ignore[list-item] # a plain tuple before Pillow 11
            parts.append(np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16))
    high, low = parts if len(parts) == 2 else (parts[0][..., ::2], parts[0][..., 1::2])
    return high << 8 | low


def _decode_tiff(path: FilePath, ndim: int, indices: bool) -> tuple[np.ndarray, bool]:
    from tifffile import PHOTOMETRIC, TiffFile

    with TiffFile(path) as tiff:
        series, page = tiff.series[0], tiff.pages.first
        order = _axes_order(series.axes, series.shape, ndim)
        pixels = series.asarray()
        colormap = None if indices or page.photometric != PHOTOMETRIC.PALETTE else page.colormap
        inverted = page.photometric == PHOTOMETRIC.MINISWHITE
        alpha = bool(page.extrasamples) and page.extrasamples[-1] in (1, 2)
    present = [axis for axis in order if axis is not None]
    spare = [axis for axis in range(pixels.ndim) if axis not in present]
    pixels = pixels.transpose(spare + present).reshape([1 if a is None else pixels.shape[a] for a in order])
    if colormap is not None:
        return np.moveaxis(colormap[:, pixels[..., 0]] >> 8, 0, -1).astype(np.uint8), False
    if inverted:
        pixels = ~pixels if pixels.dtype.kind in "bu" else pixels
    return pixels, alpha


def _axes_order(axes: str, shape: tuple[int, ...], ndim: int) -> list[int | None]:
    """Return where [depth,] height, width, channels lie among the `axes` letters of a TIFF; None for an absent one."""
    height, width = axes.index("Y"), axes.index("X")
    channels = next((i for i, letter in enumerate(axes) if letter in "SC"), None)
    spare = [i for i, size in enumerate(shape) if i not in (height, width, channels) and size > 1]
    if len(spare) > ndim - 2:
        pages = int(np.prod([shape[i] for i in spare]))
        raise ValueError(f"a {ndim}-D image is required, the file has {pages} pages (axes {axes}, shape {shape})")
    depth = [spare[0] if spare else None] if ndim == 3 else []
    return [*depth, height, width, channels]


def _checked(pixels: np.ndarray, path: FilePath) -> np.ndarray:
    if pixels.dtype in (bool, np.uint8, np.uint16):
        return pixels
    if pixels.dtype.kind != "f":
        raise InputError(f"an image must hold 8-bit, 16-bit or floating-point pixels; {path} holds {pixels.dtype}")
    if not np.isfinite(pixels).all():
        raise InputError(f"pixels must be finite; {path} holds NaN or infinity: replace them, or leave the file out")
    return pixels.astype(np.float32)


def _match_channels(pixels: np.ndarray, channels: int | None, path: FilePath) -> np.ndarray:
    found = pixels.shape[-1]
    if channels in (None, found):
        return pixels
    if (found, channels) == (1, 3):
        return np.repeat(pixels, 3, axis=-1)
    if (found, channels) == (3, 1):
        luma = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)
        return luma if pixels.dtype.kind == "f" else np.rint(luma).astype(pixels.dtype)
    raise InputError(f"{channels} channel(s) required, {path} has {found}; convert it, or ask for {found}")


_PALETTE = np.array(
    [(255, 200, 0), (0, 180, 255), (255, 80, 80), (80, 220, 100), (220, 100, 255), (255, 140, 0), (0, 230, 200),
     (255, 120, 200), (160, 160, 255), (190, 230, 60)], np.float32
)  # fmt: skip


def overlay(
    image: np.ndarray, mask: np.ndarray, color: tuple[int, int, int] | None = None, tint: float = 0.3
) -> np.ndarray:
    """Return a picture for people, uint8 (height, width, 3): the image with its mask tinted and outlined.

    A dark image is stretched to the full range; 1 channel is shown grey, 2 as red and green, of more the first 3.

    Args:
        image: (height, width[, channels]), pixel values 0..255.
        mask: (height, width[, 1]) of integer ids or bool; 0 is left clear.
        color: RGB 0..255 for every id; None gives ten colours in turn.
        tint: share of the colour inside an outline, 0..1.

    Raises:
        InputError: image and mask differ in size.
    """
    ids = np.asarray(mask).astype(np.int64)
    ids = ids[..., 0] if ids.ndim == 3 else ids
    if ids.shape != image.shape[:2]:
        raise InputError(f"image and mask must be of one size; got {image.shape[:2]} and {ids.shape}")
    picture = _displayed(image)
    inside, edge = ids != 0, _outlines(ids)
    colors = np.asarray(color, np.float32) + np.zeros_like(picture) if color else _PALETTE[(ids - 1) % len(_PALETTE)]
    share = (tint * inside + (1 - tint) * edge)[..., None]
    return np.rint(picture * (1 - share) + colors * share).astype(np.uint8)


def _displayed(image: np.ndarray) -> np.ndarray:
    pixels = image.astype(np.float32).reshape(*image.shape[:2], -1)
    count = pixels.shape[-1]
    if count == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    elif count == 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=-1)
    pixels = pixels[..., :3]
    low, high = np.percentile(pixels, (1, 99.8))
    if high < 128:
        pixels = (pixels - low) * (255 / max(high - low, 1.0))
    return np.clip(pixels, 0, 255)


def _outlines(ids: np.ndarray) -> np.ndarray:
    """Return the pixels of an object that touch another id above, below, left or right."""
    framed = np.pad(ids, 1, mode="edge")
    neighbours = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    return (ids != 0) & np.any([neighbour != ids for neighbour in neighbours], axis=0)
