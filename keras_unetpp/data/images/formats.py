"""The image formats that are read, known by what a file holds: its name may mislead, and other decoders may do harm."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.limits import MOST_PIXELS

FilePath = str | os.PathLike[str]

MAX_PIXELS = MOST_PIXELS
"""Pixels, or voxels, of a file that is read whole, unless the caller allows more."""

JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes:
        name: as people call it.
        extensions: of its files.
        starts: for each way to begin, the (offset, bytes) that are all found there.
        named: a file of another name is not read; so a decoder that few need is reached only by a name that says so.
    """

    name: str
    extensions: tuple[str, ...]
    starts: tuple[tuple[tuple[int, bytes], ...], ...]
    named: bool = False

    def found_in(self, start: bytes) -> bool:
        """Whether the first bytes of a file are those of the format."""
        return any(all(start[at:].startswith(text) for at, text in parts) for parts in self.starts)


def _row(name: str, extensions: tuple[str, ...], *starts: bytes, named: bool = False) -> Format:
    return Format(name, extensions, tuple(((0, start),) for start in starts), named)


FORMATS = (
    _row("PNG", (".png",), b"\x89PNG\r\n\x1a\n"),
    _row("JPEG", JPEG, b"\xff\xd8\xff"),
    _row("BMP", (".bmp",), b"BM", named=True),
    Format("WebP", (".webp",), (((0, b"RIFF"), (8, b"WEBP")),), named=True),
    _row("TIFF", (".tif", ".tiff"), b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
)
EXTENSIONS = tuple(extension for row in FORMATS for extension in row.extensions)
_NAMES = ", ".join(row.name for row in FORMATS[:-1]) + f" and {FORMATS[-1].name}"

REFUSED = (
    _row("EPS or PostScript", (), b"%!PS", b"\xc5\xd0\xd3\xc6"),
    _row("GIF", (), b"GIF8"),
    _row("PSD", (), b"8BPS"),
    _row("PDF", (), b"%PDF"),
    _row("JPEG 2000", (), b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    _row("JPEG XL", (), b"\xff\x0a", b"\0\0\0\x0cJXL "),
    Format("HEIF or AVIF", (), tuple(((4, b"ftyp"), (8, brand)) for brand in (b"hei", b"mif1", b"msf1", b"avi"))),
    Format("DICOM", (), (((128, b"DICM"),),)),
    _row("ICO", (), b"\0\0\1\0"),
    _row("PNM", (), *(b"P%d" % kind + space for kind in range(1, 8) for space in (b"\n", b" ", b"\r", b"\t"))),
    _row("SVG or XML", (), b"<?xml", b"<svg"),
    _row("NumPy", (), b"\x93NUMPY"),
    _row("HDF5", (), b"\x89HDF"),
    _row("OpenEXR", (), b"\x76\x2f\x31\x01"),
    _row("FITS", (), b"SIMPLE  ="),
    _row("ZIP", (), b"PK\x03\x04"),
    _row("gzip", (), b"\x1f\x8b"),
)
"""Formats that are named when they are met instead of an image; no part of them is read."""
_START = 160
"""Bytes that tell a format."""


@contextmanager
def opened(path: FilePath) -> Iterator[tuple[BinaryIO, str]]:
    """Open an image file; yield it with the name of its format, and raise whatever goes wrong in it as `InputError`."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would wait for its other end
            raise InputError(f"cannot read {path}: an image must be a regular file, not a pipe, socket or device")
        with open(path, "rb") as file:
            name = _recognised(file.read(_START), path)
            file.seek(0)
            yield file, name
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except Exception as error:  # decoders meet broken files with whatever exception is nearest
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        extra = ': pip install "keras-unetpp[tiff]"' if "imagecodecs" in reason else ""
        raise InputError(f"cannot read {path}: {' '.join(reason.split())}{extra}") from error


def _recognised(start: bytes, path: FilePath) -> str:
    for row in FORMATS:
        if row.found_in(start):
            if row.named and Path(os.fsdecode(path)).suffix.lower() not in row.extensions:
                raise InputError(
                    f"cannot read {path}: it holds a {row.name} picture under another name; rename it to "
                    f"{row.extensions[0]}"
                )
            return row.name
    other = next((row.name for row in REFUSED if row.found_in(start)), "none of them")
    found = other if start else "empty"
    raise InputError(
        f"cannot read {path}: cannot identify image file; supported are {_NAMES}, this file is {found}: save it as "
        "PNG or TIFF"
    )


def check_limit(max_pixels: Any) -> None:
    """Raise `InputError` unless a limit of pixels is one."""
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, (int, float)) or not max_pixels > 0:
        raise InputError(f"max_pixels must be a positive number of pixels. Received: {max_pixels!r}.")


def check_pixels(shape: Sequence[int], samples: int, limit: int) -> None:
    """Raise `ValueError` if an image of these sides is too large to be read whole.

    Four samples a pixel are free; of an image with more, each counts as a quarter of a pixel.
    """
    if prod(shape) * max(samples / 4, 1) > limit:
        sides, many = " x ".join(map(str, shape)), f" of {samples} samples" if samples > 4 else ""
        raise ValueError(
            f"{sides} pixels{many} are more than the {limit} that are read at once: cut it, or raise max_pixels"
        )


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
