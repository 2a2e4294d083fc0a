"""The chunks of a WebP file: its size, whether it is lossless, and how it is to be turned."""

import struct
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class WebP:
    """What the header says; `exif` as it stands in the file."""

    width: int
    height: int
    lossless: bool
    exif: bytes


def read_chunks(file: BinaryIO) -> WebP:
    """Walk through the chunks of a WebP file.

    Raises:
        ValueError: a chunk is cut off or damaged, or the file is an animation.
    """
    size = file.seek(0, 2)
    at, found, exif = 12, None, b""
    while at + 8 <= size:
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if at + 8 + length > size:
            raise ValueError("image file is truncated")
        if kind in (b"ANIM", b"ANMF"):
            raise ValueError("it is an animation: save the picture that is meant as a file of its own")
        if kind in (b"VP8 ", b"VP8L"):
            found = found or _sides(file.read(10), kind)
        elif kind == b"EXIF":
            exif = file.read(length)
        at += 8 + length + length % 2
    if found is None:
        raise ValueError("it holds no picture")
    width, height, lossless = found
    return WebP(width, height, lossless, exif)


def first_sides(start: bytes) -> tuple[int, int, bool] | None:
    """Height, width, and whether it is lossless, of a picture whose first bytes these are; None if they do not tell."""
    if start[:4] != b"RIFF" or start[12:16] not in (b"VP8 ", b"VP8L") or len(start) < 30:
        return None
    width, height, lossless = _sides(start[20:30], start[12:16])
    return height, width, lossless


def _sides(start: bytes, kind: bytes) -> tuple[int, int, bool]:
    if len(start) < 10:
        raise ValueError("image file is truncated")
    if kind == b"VP8L":  # a signature byte, then 14 bits of width - 1 and 14 of height - 1
        sides = struct.unpack("<I", start[1:5])[0]
        return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1, True
    width, height = struct.unpack("<HH", start[6:10])  # behind a frame tag of 3 bytes and a start code of 3
    return width & 0x3FFF, height & 0x3FFF, False
