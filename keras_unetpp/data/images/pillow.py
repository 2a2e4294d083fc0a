"""PNG, JPEG, BMP and WebP, each through the one decoder of Pillow that is for it."""

from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from keras_unetpp.data.images import png, webp
from keras_unetpp.data.images.formats import check_pixels
from keras_unetpp.data.images.stored import ORIENTATION, Stored, turned_size

# The classes are made without `Image.open`, which may try other decoders, and whose limit of size is set for the
# whole process.
_DECODERS = {
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "WebP": ("WebPImagePlugin", "WebPImageFile"),
}
# Pillow keeps only the high byte of 16-bit colour. Its unpackers for the other byte order read the low byte, and the
# four bytes of grey + alpha fit an 8-bit RGBA pixel; so all 16 bits can be had by naming the unpacker.
_DEEP_COLOUR = {"RGB;16B": ("RGB;16B", "RGB;16L"), "RGBA;16B": ("RGBA;16B", "RGBA;16L"), "LA;16B": ("RGBA",)}
_MODES = {"1": 1, "L": 8, "P": 8, "LA": 8, "RGB": 8, "RGBA": 8, "I": 16, "I;16": 16, "I;16B": 16, "I;16L": 16}
"""Modes of Pillow -> bits of a sample; "I" is what Pillow before 11 calls 16-bit grey."""


def decode(file: BinaryIO, name: str, limit: int) -> Stored:
    """Return the stored numbers of a picture, turned as it is to be seen.

    Raises:
        ValueError: more pixels than `limit`, an incomplete picture, or a colour model other than grey, palette and RGB.
        Exception: whatever the decoder raises.
    """
    chunks = _chunks(file, name)
    if chunks:  # the decoder of WebP takes memory for the picture as soon as it is made
        check_pixels((chunks.height, chunks.width), 4, limit)
    with _image(file, name) as image:
        check_pixels(image.size[::-1], 4, limit)
        if image.mode not in _MODES:
            raise ValueError(f"its colours are {image.mode}, not grey, palette or RGB: convert it to RGB")
        orientation, unpackers = _orientation(image, chunks), _DEEP_COLOUR.get(_unpacker(image))
        if unpackers:
            stored = Stored(_deep(file, unpackers), 16, alpha=image.mode == "RGBA")
        else:
            stored = _plain(image, chunks.bits if isinstance(chunks, png.Png) else 8)
    # Rows that are missing come out as zeros; that a last row is black for another reason is the exception.
    cut = isinstance(chunks, png.Png) and (chunks.interlaced or not stored.values[-1].any())
    if isinstance(chunks, png.Png) and cut and not png.is_whole(file, chunks):
        raise ValueError("image file is truncated: its rows end before the height that its header gives")
    return stored.turned(orientation)


def size(file: BinaryIO, name: str) -> tuple[int, int]:
    """Return (height, width) as `decode` would give it, from the header."""
    chunks = _chunks(file, name, verify=False)
    if isinstance(chunks, webp.WebP):
        return turned_size(chunks.height, chunks.width, _orientation(None, chunks))
    with _image(file, name) as image:
        width, height = image.size
        return turned_size(height, width, _orientation(image, chunks))


def _chunks(file: BinaryIO, name: str, verify: bool = True) -> png.Png | webp.WebP | None:
    if name == "PNG":
        return png.read_chunks(file, verify)
    return webp.read_chunks(file) if name == "WebP" else None


def _image(file: BinaryIO, name: str) -> Any:
    module, decoder = _DECODERS[name]
    file.seek(0)
    return getattr(import_module(f"PIL.{module}"), decoder)(file)


def _orientation(image: Any, chunks: png.Png | webp.WebP | None) -> object:
    """The tag of the picture, of which nothing is decoded; viewers show one whose EXIF is broken as it is stored."""
    from PIL import Image

    with suppress(Exception):
        if chunks and chunks.exif:
            exif = Image.Exif()
            exif.load(chunks.exif)
            return exif.get(ORIENTATION)
        if image is not None:
            return Image.Image.getexif(image).get(ORIENTATION)  # that of PNG would decode, to look behind the pixels
    return None


def _plain(image: Any, bits: int) -> Stored:
    image.load()
    palette = None
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        opacity = image.info.get("transparency")
        if opacity is not None:
            palette = np.column_stack([palette, _opacity(opacity, len(palette))])
    values = np.asarray(image)
    values = values.reshape(*values.shape[:2], -1)
    if image.mode.startswith("I"):
        values = values.astype(np.uint16)
    if image.mode == "L" and bits < 8:  # Pillow multiplies what a PNG of 2 or 4 bits holds
        values = values // np.uint8(255 // (2**bits - 1))
    bits = bits if image.mode == "L" else _MODES[image.mode]
    return Stored(values, bits, alpha=image.mode in ("LA", "RGBA"), palette=palette)


def _opacity(transparency: int | bytes, entries: int) -> np.ndarray:
    """Opacity of each colour of a palette, of Pillow's one clear entry or its bytes for the first entries."""
    opacity = np.full(entries, 255, np.uint8)
    if isinstance(transparency, int):
        opacity[transparency : transparency + 1] = 0
    else:
        opacity[: len(transparency)] = np.frombuffer(transparency, np.uint8)[:entries]
    return opacity


def _unpacker(image: Any) -> str:
    return image.tile[0][3] if image.format == "PNG" and image.tile else ""


def _deep(file: BinaryIO, unpackers: tuple[str, ...]) -> np.ndarray:
    parts = []
    for unpacker in unpackers:
        with _image(file, "PNG") as image:
            image.tile = [(*image.tile[0][:3], unpacker)]
            image.load()
            parts.append(np.asarray(image).astype(np.uint16))
    high, low = parts if len(parts) == 2 else (parts[0][..., ::2], parts[0][..., 1::2])
    return high << 8 | low
