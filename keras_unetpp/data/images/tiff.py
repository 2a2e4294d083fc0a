"""TIFF and BigTIFF through tifffile: which axes a file has, and its numbers as they are stored."""

import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Any, BinaryIO

import numpy as np

from keras_unetpp.compat.tifffile import opened
from keras_unetpp.data.images.directories import check_first, read_pages
from keras_unetpp.data.images.embedded import CODECS, COMPRESSIONS, START
from keras_unetpp.data.images.formats import FilePath, check_pixels
from keras_unetpp.data.images.stored import ORIENTATION, Stored, turned_size
from keras_unetpp.kit.errors import InputWarning

# What is wrong with a file is raised here; tifffile would also print its own lines for a program that logs nothing.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_DESCRIBED = ("lsm", "ome", "imagej", "fluoview", "stk", "sis", "qpi")
"""Files that tell their axes in words of their own, which tifffile reads; all others are pages."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_OTHER_COLOURS = {4: "a mask of transparency", 5: "CMYK", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*",
                  32803: "the raw mosaic of a camera", 32844: "LogL", 32845: "LogLuv",
                  34892: "linear raw of a camera"}  # fmt: skip
_TO_RGB = {6, 7, 34892, 50001}
"""Compressions whose decoder turns YCbCr into RGB: of JPEG, and WebP."""
_OPACITY = (1, 2)
_NODATA = 42113
"""The tag in which GDAL writes, as text, the number that stands for no data."""


@dataclass(frozen=True)
class Picture:
    """An image within a file: its axes (letters of tifffile), and how to get its numbers.

    Attributes:
        page: the first page, with the tags that say what the numbers mean.
        axes: a letter per axis; Y, X, and S or C for samples.
        shape: one length per axis.
        told: the file itself says what its axes are.
        pages: those to read; empty where the file is cut off before them.
        load: returns the array.
    """

    page: Any
    axes: str
    shape: tuple[int, ...]
    told: bool
    pages: Callable[[], Iterator[Any]]
    load: Callable[[], np.ndarray]


def decode(file: BinaryIO, path: FilePath, ndim: int, channels: int | None, limit: int) -> Stored:
    """Return the stored numbers of a picture or volume, turned as it is to be seen.

    Raises:
        ValueError: more pixels than `limit`, an incomplete picture, axes that do not fit, other colours.
        Exception: whatever tifffile raises.
    """
    with _picture(file, path, ndim, channels, tell=True) as picture:
        order = _axes_order(picture, ndim)
        page = picture.page
        sides, count = _lengths(picture, order)
        check_pixels(sides, count, limit)
        if page.is_tiled:
            check_pixels((page.tiledepth, page.tilelength, page.tilewidth), count, max(limit, 2**24))
        _check_supported(page)
        for one in picture.pages():
            _check_segments(one, file, limit)
        pixels = picture.load()
        if pixels.shape != picture.shape:
            raise ValueError(f"it holds {pixels.shape}, where {picture.shape} is described; the file is damaged")
        stored = _meaning(page, count)
    present = [axis for axis in order if axis is not None]
    spare = [axis for axis in range(pixels.ndim) if axis not in present]
    pixels = pixels.transpose(spare + present).reshape([1 if axis is None else pixels.shape[axis] for axis in order])
    return replace(stored, values=pixels).turned(_tag(page, ORIENTATION))


def size(file: BinaryIO, path: FilePath, ndim: int, channels: int | None) -> tuple[int, ...]:
    """Return (height, width), or (depth, height, width), as `decode` would give it, from the header."""
    with _picture(file, path, ndim, channels, tell=False) as picture:
        (*depth, height, width), _ = _lengths(picture, _axes_order(picture, ndim))
        return (*depth, *turned_size(height, width, _tag(picture.page, ORIENTATION)))


def lossy(file: BinaryIO, path: FilePath) -> str:
    """Name the compression of a file if it changes numbers, "" if it does not; tell if that cannot be seen."""
    with _opened(file) as tiff:
        page = tiff.pages.first
        codec = CODECS.get(int(page.compression))
        if codec is None:
            return ""
        file.seek(page.dataoffsets[0] if page.dataoffsets else 0)
        exact = codec.exact(file.read(START))
    if exact is None:
        warnings.warn(
            f"The mask {path} is compressed by {codec.name}, which may have changed label ids. Look at them, or save "
            "masks with deflate.",
            InputWarning,
            stacklevel=4,
        )
    return codec.name if exact is False else ""


def _opened(file: BinaryIO) -> Any:
    """The opened file; its `_pages` are found here, see `compat.tifffile.opened`."""
    check_first(file)
    file.seek(0)
    return opened(file)


@contextmanager
def _picture(file: BinaryIO, path: FilePath, ndim: int, channels: int | None, tell: bool) -> Iterator[Picture]:
    with _opened(file) as tiff:
        notes: list[str] = []
        kind = next((kind for kind in _DESCRIBED if getattr(tiff, f"is_{kind}", False)), None)
        if kind == "ome" and _is_one_of_several(tiff.ome_metadata or ""):
            kind = None
            notes.append("is one of several OME-TIFF files of one image. Only the pages in this file are read.")
        series = tiff.series[:1] if kind else []
        found = _of_series(series[0], kind in ("ome", "imagej")) if series else _pages(tiff, file)
        yield _sliced(found, ndim, channels, notes)
    for note in notes if tell else ():
        warnings.warn(f"{path} {note}", InputWarning, stacklevel=7)


def _is_one_of_several(xml: str) -> bool:
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise ValueError("its OME-XML defines entities, which are not read")
    head = re.search(r"<OME\b[^>]*\bUUID\s*=\s*[\"']([^\"']*)", xml)
    own = {head.group(1)} if head else set()
    parts = re.findall(r"<UUID\b[^>]*>\s*([^<\s]*)", xml)
    return bool(set(parts) - own) and (bool(own) or len(set(parts)) > 1)


def _of_series(series: Any, check: bool) -> Picture:
    def pages() -> Iterator[Any]:
        for page in series if check else ():
            if page is None:
                raise ValueError("it describes pages that it does not hold, the file is truncated or damaged")
            yield page

    return Picture(series.keyframe, series.axes, tuple(series.shape), True, pages, series.asarray)


def _pages(tiff: Any, file: BinaryIO) -> Picture:
    """The pages that are like the first; of a stack that tifffile wrote, with the axes that it was given."""
    first = tiff.pages.first
    found = read_pages(file)
    if not found.whole:
        raise ValueError("failed to read its pages, the file is truncated or damaged")
    shape, axes, told = first.shape, first.axes, False
    count = len(found.alike)
    described, letters = _described(first.description)
    stack = _stack(described, shape)
    if stack > 1:
        if count not in (1, stack):
            raise ValueError(f"it describes a stack of {stack} pages and holds {count}: write one stack a file")
        return _of_series(tiff.series[0], True)
    if letters and len(letters) == len(shape) and described == shape:
        axes, told = letters, True

    def pages() -> Iterator[Any]:
        return (tiff.pages[index] for index in found.alike)

    if count == 1:
        return Picture(first, axes, shape, told, pages, first.asarray)

    def load() -> np.ndarray:
        array = np.empty((count, *shape), first.dtype)
        for index, page in enumerate(pages()):
            array[index] = page.asarray()
        return array

    return Picture(first, "I" + axes, (count, *shape), told, pages, load)


def _described(description: str) -> tuple[tuple[int, ...], str]:
    """Shape and axes that tifffile wrote into the description of a page; empty if there are none."""
    if re.match(r"shape=\([\d, L]+\)", description):  # before 2014
        return tuple(map(int, re.findall(r"\d+", description))), ""
    if not description.startswith("{") or '"shape":' not in description:
        return (), ""
    try:
        told = json.loads(description)
        return tuple(int(side) for side in told["shape"]), str(told.get("axes", ""))
    except (ValueError, TypeError, KeyError, RecursionError):  # of another program
        return (), ""


def _stack(described: tuple[int, ...], page: tuple[int, ...]) -> int:
    """Count of pages that make up a shape; 1 if they do not, as where another program has cropped them since."""
    outer, inner = ([side for side in shape if side != 1] for shape in (described, page))
    return prod(outer[: len(outer) - len(inner)]) if outer[len(outer) - len(inner) :] == inner else 1


def _sliced(picture: Picture, ndim: int, channels: int | None, notes: list[str]) -> Picture:
    """Where a volume is asked for: planes of samples are slices, unless the file says or the count shows otherwise.

    tifffile writes slices, if it is not told better, as the planes of one RGB image, or as channels of ImageJ and OME.
    """
    count = picture.shape[0]
    if ndim == 2 or picture.axes not in ("SYX", "CYX"):
        return picture
    if picture.told:
        if channels == 1 and count > 1:
            notes.append(f"calls its {count} planes channels. For 1 channel is asked for, they are taken as slices.")
            return replace(picture, axes="ZYX")
        return picture
    if count not in (3, 4) and channels in (None, count):
        return picture
    if channels not in (None, 1):
        raise ValueError(
            f"its {count} planes may be slices or colours of one slice: write it with the axes ZYX or CYX "
            "(tifffile: metadata={'axes': 'ZYX'}), or ask for 1 channel if they are slices"
        )
    return replace(picture, axes="ZYX")


def _axes_order(picture: Picture, ndim: int) -> list[int | None]:
    """Return where [depth,] height, width, channels lie among the axes; None for an absent one."""
    axes, shape = picture.axes, picture.shape
    height, width = axes.index("Y"), axes.index("X")
    channels = next((i for i, letter in enumerate(axes) if letter in "SC"), None)
    spare = [i for i, size in enumerate(shape) if i not in (height, width, channels) and size > 1]
    if len(spare) > ndim - 2:
        pages = prod(shape[i] for i in spare)
        raise ValueError(f"a {ndim}-D image is required, the file has {pages} pages (axes {axes}, shape {shape})")
    depth = [spare[0] if spare else None] if ndim == 3 else []
    return [*depth, height, width, channels]


def _lengths(picture: Picture, order: list[int | None]) -> tuple[tuple[int, ...], int]:
    """Sides, and samples a pixel."""
    *sides, samples = (1 if axis is None else picture.shape[axis] for axis in order)
    if 0 in (*sides, samples):
        raise ValueError("it holds no picture")
    return tuple(sides), samples


def _check_supported(page: Any) -> None:
    colours, compression = int(page.photometric), int(page.compression)
    if compression not in COMPRESSIONS:
        name = getattr(page.compression, "name", compression)
        raise ValueError(f"its compression, {name}, is not supported: save it with deflate or LZW")
    if colours == _YCBCR and compression not in _TO_RGB:
        name = "YCbCr"
    elif colours in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
        return
    else:
        name = _OTHER_COLOURS.get(colours, f"of the unknown kind {colours}")
    raise ValueError(f"its colours are {name}, not grey, palette or RGB: convert it to RGB")


def _check_segments(page: Any, file: BinaryIO, limit: int) -> None:
    """Raise `ValueError` if strips or tiles are missing, or are pictures of their own that are too large.

    Those left out on purpose have neither place nor length.
    """
    offsets, counts, end = page.dataoffsets, page.databytecounts, file.seek(0, 2)
    expected = 1 if page.is_contiguous else prod(page.chunked)
    if min(len(offsets), len(counts)) < expected:
        raise ValueError("failed to read strips or tiles, some are missing")
    codec = CODECS.get(int(page.compression))
    for offset, count in zip(offsets, counts, strict=False):
        if bool(offset) != bool(count) or offset + count > end:
            raise ValueError("failed to read strips or tiles, the file is truncated or damaged")
        if codec and codec.sides:
            file.seek(offset)
            check_pixels(codec.sides(file.read(min(count, START))) or (), 1, limit)


def _meaning(page: Any, samples: int) -> Stored:
    """What the tags say of the numbers; `samples` of a pixel is 1 where planes are slices."""
    colours = int(page.photometric)
    extra = tuple(page.extrasamples or ())
    palette = None
    if colours == _PALETTE:
        palette = _palette(page.colormap)
    bits = page.bitspersample
    return Stored(
        np.empty(0),
        bits if isinstance(bits, int) else 0,
        alpha=bool(extra) and extra[-1] in _OPACITY and samples > 1,
        palette=palette,
        white_is_zero=colours == _WHITE_IS_ZERO,
        nodata=_nodata(_tag(page, _NODATA)),
    )


def _palette(colours: Any) -> np.ndarray:
    """The colours of a palette, (entries, 3) of uint8, of what tifffile makes of its tag."""
    if colours is None:
        raise ValueError("it has a palette without colours")
    found = np.asarray(colours)
    if found.ndim != 2 or len(found) != 3 or found.dtype.kind != "u":
        raise ValueError("its palette must have red, green and blue of each colour; the file is damaged")
    # 16 bits a colour, but some writers put 8 there.
    return (found.T >> (8 if found.max(initial=0) > 255 else 0)).astype(np.uint8)


def _nodata(text: object) -> float | None:
    try:
        return float(str(text).strip("\0 ").replace(",", "."))
    except ValueError:
        return None


def _tag(page: Any, code: int) -> object:
    tag = page.tags.get(code)
    return None if tag is None else tag.value
