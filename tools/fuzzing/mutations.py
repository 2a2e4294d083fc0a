"""Changes of a file: of its bytes, whatever it holds, and of what it holds, by its suffix."""

import struct
from collections.abc import Callable
from random import Random

from fuzzing import containers, pictures, texts

Mutation = Callable[[bytes, Random], bytes]

STRUCTURE: dict[str, Mutation] = {
    ".png": pictures.png,
    ".tif": pictures.tiff,
    ".json": texts.json_text,
    ".csv": texts.csv_text,
    ".keras": containers.archive,
    ".pth": containers.archive,
    ".h5": containers.hdf5,
    ".safetensors": containers.safetensors,
    ".tflite": containers.flatbuffer,
    ".onnx": containers.protobuf,
    ".pb": containers.protobuf,
}
"""Suffix -> what changes the file so that it still is one of its format, check sums and lengths included."""

_MOST_CHANGES = 4
_PART = 0.6
"""Share of tries that change what a file holds."""


def mutated(data: bytes, suffix: str, rng: Random, other: bytes = b"") -> bytes:
    """A file changed in one to four places.

    Args:
        data: what it holds.
        suffix: of its name, by which its structure is known.
        rng: decides on everything, so that the same one gives the same file.
        other: another file of the kind, of which a part may be put in.
    """
    structure = STRUCTURE.get(suffix)
    if structure is not None and rng.random() < _PART:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            data = _tried(structure, data, rng)
        return data
    if other and rng.random() < 0.05:
        return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        data = rng.choice(_BYTES)(data, rng) if data else data
    return data


def _tried(structure: Mutation, data: bytes, rng: Random) -> bytes:
    """What is no longer of its format, after an earlier change, is changed as bytes."""
    try:
        return structure(data, rng)
    except Exception:  # zipfile, h5py, struct and json share no class of errors
        return rng.choice(_BYTES)(data, rng) if data else data


def _bit(data: bytes, rng: Random) -> bytes:
    own = bytearray(data)
    own[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(own)


def _byte(data: bytes, rng: Random) -> bytes:
    own = bytearray(data)
    own[_place(data, rng)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(own)


def _number(data: bytes, rng: Random) -> bytes:
    """An integer of 2, 4 or 8 bytes in either order, at a place where formats have theirs or anywhere."""
    size, letter = rng.choice(((2, "H"), (4, "I"), (4, "I"), (8, "Q")))
    value = rng.choice(texts.INTEGERS) if rng.random() < 0.7 else rng.randrange(256**size)
    start = _place(data, rng)
    start -= start % size if rng.random() < 0.5 else 0
    return data[:start] + struct.pack(rng.choice("<>") + letter, value % 256**size) + data[start + size :]


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _gone(data: bytes, rng: Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + data[start + _length(data, rng) :]


def _zeros(data: bytes, rng: Random) -> bytes:
    start, length = _place(data, rng), _length(data, rng)
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def _noise(data: bytes, rng: Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.randbytes(rng.choice((1, 2, 4, 16, 64))) + data[start:]


def _twice(data: bytes, rng: Random) -> bytes:
    start = _place(data, rng)
    part = data[start : start + _length(data, rng)]
    return data[:start] + part * rng.choice((2, 2, 3, 8)) + data[start + len(part) :]


def _place(data: bytes, rng: Random) -> int:
    """Anywhere, but half of the time near the start, where most formats say what follows."""
    return rng.randrange(min(len(data), 512) if rng.random() < 0.5 else len(data))


def _length(data: bytes, rng: Random) -> int:
    return rng.randint(1, rng.choice((4, 16, 256, max(len(data) // 2, 1))))


_BYTES: tuple[Mutation, ...] = (_bit, _bit, _byte, _byte, _number, _number, _cut, _gone, _zeros, _noise, _twice)
