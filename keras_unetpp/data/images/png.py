"""The chunks of a PNG: what its header says, and whether the picture is whole."""

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> samples a pixel."""
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Adam7: first row and column of each pass, and the steps to the next."""
_BLOCK = 2**20


@dataclass(frozen=True)
class Png:
    """Header fields; `data`, where the compressed bytes lie, as (offset, length); `exif` that stands behind them."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool
    data: tuple[tuple[int, int], ...]
    exif: bytes


def read_chunks(file: BinaryIO, verify: bool = True) -> Png:
    """Walk through the chunks of a PNG.

    Args:
        file: the file, from its start.
        verify: compare the checksums of the chunks that make up the picture.

    Raises:
        ValueError: a chunk is cut off or damaged, or the file is an animation.
    """
    size = file.seek(0, 2)
    at, header, data, exif = 8, b"", [], b""
    while True:
        file.seek(at)
        start = file.read(8)
        length, kind = struct.unpack(">I4s", start) if len(start) == 8 else (0, b"")
        if not kind or at + 12 + length > size:
            raise ValueError("image file is truncated")
        if verify and kind[:1].isupper() and not _intact(file, kind, length):
            raise ValueError(f"the checksum of its {kind.decode('latin-1')!r} part is wrong, the file is damaged")
        if at == 8:
            file.seek(at + 8)
            header = file.read(length)
            if kind != b"IHDR" or length != 13:
                raise ValueError("its header is missing")
        elif kind == b"IDAT":
            data.append((at + 8, length))
        elif kind == b"eXIf" and data:
            file.seek(at + 8)
            exif = file.read(length)
        elif kind == b"acTL":
            raise ValueError("it is an animation: save the picture that is meant as a file of its own")
        elif kind == b"IEND":
            break
        at += 12 + length
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if not data or not width or not height or colour not in _SAMPLES:
        raise ValueError("it holds no picture")
    return Png(width, height, bits, colour, bool(interlaced), tuple(data), exif)


def _intact(file: BinaryIO, kind: bytes, length: int) -> bool:
    checksum = zlib.crc32(kind)
    while length:
        block = file.read(min(length, _BLOCK))
        if not block:
            return False
        checksum, length = zlib.crc32(block, checksum), length - len(block)
    return file.read(4) == struct.pack(">I", checksum)


def is_whole(file: BinaryIO, png: Png) -> bool:
    """Whether the compressed bytes give as many rows as the header says; of those missing, decoders make zeros."""
    missing, inflate = _bytes_of(png), zlib.decompressobj()
    for offset, length in png.data:
        file.seek(offset)
        while length and missing > 0 and not inflate.eof:
            block = file.read(min(length, _BLOCK))
            if not block:
                return False
            length -= len(block)
            while block and missing > 0:
                missing -= len(inflate.decompress(block, _BLOCK))
                block = inflate.unconsumed_tail
    return missing - len(inflate.flush()) <= 0 if missing > 0 else True


def _bytes_of(png: Png) -> int:
    bits = png.bits * _SAMPLES[png.colour]
    passes = _PASSES if png.interlaced else ((0, 0, 1, 1),)
    total = 0
    for top, left, down, across in passes:
        rows, columns = -((top - png.height) // down), -((left - png.width) // across)
        if rows > 0 and columns > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total
