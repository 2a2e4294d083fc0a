"""The directories of a TIFF, one a page, read once each: which pages are like the first."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

_KIND = 254
_TELLING = {_KIND, 256, 257, 258, 262, 277, 284, 339, 32997}
"""Kind of page, width, height, bits, photometric, samples, planes, number format, depth: what pages must share."""
_OTHER_KINDS = 0b101
"""Bits of the kind: a reduced copy, a mask of transparency; "one of several pages" makes no difference."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
"""Type of a tag -> bytes of one value; rarer types tell nothing here."""
_INTEGERS = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SINGLE = {256, 257, 259, 262, 277, 284, 317, 322, 323, 32997, 32998}
"""Tags of one number each, with which tifffile multiplies: a list there would grow instead."""
_MOST = 16
"""Values of a tag that are looked at."""

_Key = tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Pages:
    """Numbers of the pages that are like the first; `whole`, the chain of directories ends as it should."""

    alike: tuple[int, ...]
    whole: bool


def read_pages(file: BinaryIO) -> Pages:
    """Follow the chain of directories of a TIFF or BigTIFF.

    Raises:
        ValueError: directories that share their bytes, by which a small file could take any time.
    """
    layout, at, size = _begun(file)
    keys: list[_Key] = []
    seen: set[int] = set()
    taken = 0
    while at and at not in seen:
        seen.add(at)
        page = layout.directory(file, at, size)
        if page is None:
            return Pages(_alike(keys), False)
        entries, at = page
        taken += len(entries)
        if taken > size:
            raise ValueError("the directories of its pages overlap, the file is damaged")
        keys.append(layout.key(file, entries))
    return Pages(_alike(keys), at == 0)


def check_first(file: BinaryIO) -> None:
    """Raise `ValueError` if the first directory is not in the file, or has no or several numbers where one belongs."""
    layout, at, size = _begun(file)
    page = layout.directory(file, at, size)
    if page is None:
        raise ValueError("failed to read its first page, the file is truncated or damaged")
    entries = layout.entries.iter_unpack(page[0])
    if any(tag in _SINGLE and (count != 1 or kind not in _INTEGERS) for tag, kind, count, _ in entries):
        raise ValueError("its first page gives no or several numbers where one belongs, the file is damaged")


def _begun(file: BinaryIO) -> tuple["_Classic", int, int]:
    """How the file is laid out, where its first directory lies, and its length."""
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    layout = _Big(order) if start[2:4] in (b"+\0", b"\0+") else _Classic(order)
    return layout, layout.first(start), size


def _alike(keys: list[_Key]) -> tuple[int, ...]:
    return tuple(index for index, key in enumerate(keys) if key == keys[0])


class _Classic:
    header, entry, count, offset = 8, "HHI4s", "H", "I"

    def __init__(self, order: str) -> None:
        self.order = order
        self.entries = struct.Struct(order + self.entry)

    def first(self, start: bytes) -> int:
        """Where the first directory lies."""
        return self._read(self.offset, start[self.header - struct.calcsize("=" + self.offset) : self.header])

    def directory(self, file: BinaryIO, at: int, size: int) -> tuple[bytes, int] | None:
        """The entries of the directory at an offset, and where the next lies; None if it is not in the file."""
        head, tail = (struct.calcsize("=" + code) for code in (self.count, self.offset))
        if at + head > size:
            return None
        file.seek(at)
        length = self._read(self.count, file.read(head)) * self.entries.size
        if at + head + length + tail > size:
            return None
        body = file.read(length + tail)
        return body[:length], self._read(self.offset, body[length:])

    def key(self, file: BinaryIO, entries: bytes) -> _Key:
        """What pages have in common that can be stacked."""
        found = [
            (tag, self._values(file, kind, count, data))
            for tag, kind, count, data in self.entries.iter_unpack(entries)
            if tag in _TELLING and kind in _INTEGERS
        ]
        return tuple((tag, values) for tag, values in found if tag != _KIND or any(v & _OTHER_KINDS for v in values))

    def _values(self, file: BinaryIO, kind: int, count: int, data: bytes) -> tuple[int, ...]:
        count = min(count, _MOST)
        length = count * _SIZES[kind]
        if length > len(data):
            file.seek(self._read(self.offset, data))
            data = file.read(length)
        code = _INTEGERS[kind]
        return struct.unpack(f"{self.order}{len(data[:length]) // _SIZES[kind]}{code}", data[:length])

    def _read(self, code: str, data: bytes) -> int:
        return struct.unpack(self.order + code, data)[0]


class _Big(_Classic):
    header, entry, count, offset = 16, "HHQ8s", "Q", "Q"
