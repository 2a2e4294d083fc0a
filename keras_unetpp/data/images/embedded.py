"""Pictures of other formats inside the strips and tiles of a TIFF: how large they are, and whether they are exact."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from keras_unetpp.data.images import webp

START = 4096
"""Bytes of a strip or tile in which its header is looked for."""

Sides = tuple[int, int]


def _yes(start: bytes) -> bool | None:
    return True


def _no(start: bytes) -> bool | None:
    return False


def _unknown(start: bytes) -> bool | None:
    return None


def _png_sides(start: bytes) -> Sides | None:
    return struct.unpack(">II", start[16:24])[::-1] if len(start) >= 24 else None


def _webp_sides(start: bytes) -> Sides | None:
    found = webp.first_sides(start)
    return found and found[:2]


def _webp_is_exact(start: bytes) -> bool | None:
    found = webp.first_sides(start)
    return found and found[2]


def _jpeg_2000_sides(start: bytes) -> Sides | None:
    at = start.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(start) < at + 24:
        return None
    right, bottom, left, top = struct.unpack(">4I", start[at + 8 : at + 24])
    return bottom - top, right - left


def _jpeg_2000_is_exact(start: bytes) -> bool | None:
    style = start.find(b"\xff\x52")  # coding style: the byte 13 behind the marker is 1 where the transform is exact
    return start[style + 13 : style + 14] == b"\1" if style > 0 else None


@dataclass(frozen=True)
class Codec:
    """A format; `sides` and `exact` look at the first bytes of a strip or tile, None where they cannot tell."""

    name: str
    sides: Callable[[bytes], Sides | None] | None = None
    exact: Callable[[bytes], bool | None] = _unknown


_JPEG = Codec("JPEG", exact=_no)
_JPEG_2000 = Codec("JPEG 2000", _jpeg_2000_sides, _jpeg_2000_is_exact)
_JPEG_XL = Codec("JPEG XL")
_PNG, _WEBP = Codec("PNG", _png_sides, _yes), Codec("WebP", _webp_sides, _webp_is_exact)

CODECS = {
    6: _JPEG, 7: _JPEG, 34892: _JPEG,
    33003: _JPEG_2000, 33004: _JPEG_2000, 33005: _JPEG_2000, 34712: _JPEG_2000,
    50002: _JPEG_XL, 52546: _JPEG_XL,
    34933: _PNG, 50001: _WEBP,
}  # fmt: skip
"""Number of a compression -> the format that it is."""

COMPRESSIONS = {1, 2, 3, 4, 5, 8, 32773, 32946, 34887, 34925, 34926, 50000, *CODECS}
"""What is read: none, fax, LZW, deflate, PackBits, LERC, LZMA, Zstandard, and the above.

Others are rare, and the decoder of JPEG XR, for one, crashes on damaged files.
"""
