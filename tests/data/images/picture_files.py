"""Image files made byte by byte, so that what a reader makes of them can be told by construction."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (9, 7, 3), np.uint8)
GREY = RGB[..., 0]


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def packed(samples: np.ndarray, bits: int, order: str = ">") -> bytes:
    """Rows of samples, each filled up to whole bytes, the first sample in the highest bits."""
    if bits in (8, 16):
        return samples.astype(f"{order}u{bits // 8}").tobytes()
    digits = (samples.astype(np.int64)[..., None] >> np.arange(bits)[::-1]) & 1
    return np.packbits(digits.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def png(path: Path, samples: np.ndarray, bits: int, colour: int, *, filter_type: int = 0, interlaced: bool = False,
        palette: np.ndarray | None = None, before: bytes = b"", after: bytes = b"",
        height: int = 0) -> Path:  # fmt: skip
    """A PNG of (height, width, channels).

    Args:
        path: the file.
        samples: as they are to be stored.
        bits: of a sample.
        colour: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
        filter_type: 0, or 1, differences to the pixel on the left (whole bytes only).
        interlaced: in the seven passes of Adam7.
        palette: (entries, 3).
        before: chunks before the picture.
        after: chunks behind it.
        height: what the header says, if it is to lie.
    """
    parts = [samples[top::down, left::across] for top, left, down, across in ADAM7] if interlaced else [samples]
    raw = b""
    for part in (part for part in parts if part.size):
        lines = packed(part.reshape(len(part), -1), bits)
        stride, step = len(lines) // len(part), samples.shape[-1] * bits // 8
        for row in range(len(part)):
            line = np.frombuffer(lines[row * stride : (row + 1) * stride], np.uint8)
            if filter_type == 1:
                line = line - np.concatenate([np.zeros(step, np.uint8), line[:-step]])
            raw += bytes([filter_type]) + line.tobytes()
    header = struct.pack(">IIBBBBB", samples.shape[1], height or len(samples), bits, colour, 0, 0, interlaced)
    colours = b"" if palette is None else chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + colours + chunk(b"IDAT", zlib.compress(raw))
        + after + chunk(b"IEND", b"")
    )  # fmt: skip
    return path


def exif(orientation: int) -> bytes:
    """EXIF that says nothing but the orientation."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def tiff(path: Path, samples: np.ndarray, bits: int, photometric: int, *, order: str = "<", orientation: int = 1,
         planar: bool = False, deflated: bool = False, big: bool = False,
         tags: dict | None = None) -> Path:  # fmt: skip
    """A TIFF of (height, width, channels) in one strip, or one a plane.

    Args:
        path: the file.
        samples: as they are to be stored.
        bits: of a sample.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette.
        order: of bytes, "<" or ">".
        orientation: tag 274.
        planar: each channel in a strip of its own.
        deflated: compressed.
        big: a BigTIFF.
        tags: more of them, or others: number -> list of 16-bit numbers, or bytes for text.
    """
    height, width, channels = samples.shape
    planes = [samples[..., i] for i in range(channels)] if planar else [samples.reshape(height, -1)]
    strips = [packed(plane, bits, order) for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if deflated else strips
    head = 16 if big else 8
    starts = [head + sum(map(len, strips[:index])) for index in range(len(strips))]
    wide = "Q" if big else "I"
    found: dict[int, tuple[str, list[int] | bytes]] = {
        256: ("H", [width]), 257: ("H", [height]), 258: ("H", [bits] * channels), 259: ("H", [8 if deflated else 1]),
        262: ("H", [photometric]), 273: (wide, starts), 274: ("H", [orientation]), 277: ("H", [channels]),
        278: ("H", [height]), 279: (wide, [len(strip) for strip in strips]), 284: ("H", [2 if planar else 1]),
    }  # fmt: skip
    found |= {tag: ("s" if isinstance(value, bytes) else "H", value) for tag, value in (tags or {}).items()}
    data = b"".join(strips)
    data += b"\0" * (len(data) % 2)
    directory, inline = head + len(data), 8 if big else 4
    spare = directory + (16 if big else 6) + (20 if big else 12) * len(found)
    entries, more = b"", b""
    for tag, (code, values) in sorted(found.items()):
        body = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{code}", *values)
        kind = {"H": 3, "I": 4, "Q": 16, "s": 2}[code]
        entries += struct.pack(f"{order}HH{wide}", tag, kind, len(values))
        entries += body.ljust(inline, b"\0") if len(body) <= inline else struct.pack(order + wide, spare + len(more))
        more += b"" if len(body) <= inline else body + b"\0" * (len(body) % 2)
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    start += struct.pack(f"{order}HHQ", 8, 0, directory) if big else struct.pack(f"{order}I", directory)
    count = struct.pack(order + ("Q" if big else "H"), len(found))
    path.write_bytes(start + data + count + entries + struct.pack(order + wide, 0) + more)
    return path
