"""What is seen of images and masks while they are read: sizes, types, ids and their shares."""

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from keras_unetpp.data.folders import Sample
from keras_unetpp.data.pixels import Ranges, unexpected
from keras_unetpp.kit.errors import InputError

MOST_IDS = 2**16
"""So many different ids are counted apart; the rest, of instance ids without end, are counted as foreground only."""
FEW = 32
"""Classes are at most so many; more ids are those of instances."""


class Look(NamedTuple):
    """What was seen of one sample.

    Attributes:
        name: of the sample.
        split: of the sample.
        size: of the image in pixels.
        pixels: type and channels of the image, such as "uint8 x 3".
        mask: type of the mask.
        low: smallest value of the image, in its own type.
        high: the largest.
        digest: the same for the same pixels; None of a blank image, which says nothing.
        background: whether a pixel that counts is 0 or below.
        foreground: whether a pixel that counts is above 0.
        ids: how many ids above 0 there are.
        loose: whether the ids are unlike those of instances: numbers left out, or an id in several places.
    """

    name: str
    split: str
    size: tuple[int, ...]
    pixels: str
    mask: str
    low: float
    high: float
    digest: bytes | None
    background: bool
    foreground: bool
    ids: int
    loose: bool


@dataclass
class Ids:
    """Ids in the masks of a split: pixels of each, and masks that hold it; those of `ignore_index` apart."""

    pixels: Counter[int] = field(default_factory=Counter)
    masks: Counter[int] = field(default_factory=Counter)
    ignored: int = 0
    uncounted: int = 0

    @property
    def total(self) -> int:
        """All pixels that count."""
        return self.pixels.total() + self.uncounted

    @property
    def foreground(self) -> int:
        """Pixels of ids above 0."""
        return self.uncounted + sum(count for number, count in self.pixels.items() if number > 0)

    def share(self, number: int) -> float:
        """Of the pixels that count, the share of an id."""
        return self.pixels[number] / max(self.total, 1)

    def __add__(self, other: "Ids") -> "Ids":
        return Ids(self.pixels + other.pixels, self.masks + other.masks, self.ignored + other.ignored,
                   self.uncounted + other.uncounted)  # fmt: skip


class Survey:
    """Looks at samples as they are read, from several threads; `look` is what `load` takes.

    Args:
        ignore_index: id of pixels that do not count.
    """

    def __init__(self, ignore_index: int | None = None) -> None:
        self.ignore_index = ignore_index
        self.looks: dict[tuple[str, str], Look] = {}
        self.ids: dict[str, Ids] = {"train": Ids(), "val": Ids()}
        self.ranges = Ranges("Images of the data")
        self._lock = threading.Lock()

    def look(self, sample: Sample, pixels: np.ndarray, ids: np.ndarray) -> None:
        """Take in an image in its own type (*sides, channels) and the ids of its mask (*sides)."""
        counts = count_ids(ids)
        ignored = 0 if self.ignore_index is None else counts.pop(self.ignore_index, 0)
        low, high, odd = float(pixels.min()), float(pixels.max()), unexpected(pixels)
        above = [number for number in counts if number > 0]
        seen = Look(
            sample.name,
            sample.split,
            pixels.shape[:-1],
            f"{pixels.dtype} x {pixels.shape[-1]}",
            str(ids.dtype),
            low,
            high,
            None if low == high else _digest(pixels),
            len(above) < len(counts),
            bool(above),
            len(above),
            _loose(ids, above),
        )
        with self._lock:
            key = (sample.split, sample.name)
            if key in self.looks:
                return
            self.looks[key] = seen
            self.ranges.add(odd, sample.image)
            self._count(self.ids.setdefault(sample.split, Ids()), counts, ignored)

    def check_counts(self, split: str) -> None:
        """Raise `InputError` if no pixel of a split counts."""
        own = self.ids[split]
        if own.ignored and not own.total:
            raise InputError(
                f"Masks of {split} must hold pixels that count. Received: masks all of whose pixels are ignore_index="
                f"{self.ignore_index}. Give masks of what is to be found, or another ignore_index."
            )

    def _count(self, own: Ids, counts: dict[int, int], ignored: int) -> None:
        own.ignored += ignored
        for number, count in counts.items():
            if number > FEW and number not in own.pixels and len(own.pixels) >= MOST_IDS:
                own.uncounted += count
            else:
                own.pixels[number] += count
                own.masks[number] += 1


def count_ids(ids: np.ndarray) -> dict[int, int]:
    """Pixels of each id in a mask."""
    if ids.dtype in (np.uint8, np.uint16):
        counts = np.bincount(ids.ravel())
        return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}
    numbers, numbered = np.unique(ids, return_counts=True)
    return dict(zip(numbers.tolist(), numbered.tolist(), strict=True))


def _digest(pixels: np.ndarray) -> bytes:
    total = hashlib.blake2b(str(pixels.shape).encode(), digest_size=12)
    total.update(np.ascontiguousarray(pixels).data)
    return total.digest()


def _loose(ids: np.ndarray, above: list[int]) -> bool:
    """Whether ids are unlike those of instances, which run from 1 without a gap and lie in one place each."""
    if not above or len(above) > FEW:
        return False
    if max(above) > len(above):
        return True
    return len(above) > 1 and any(_in_places(ids == number) for number in above)


def _in_places(where: np.ndarray) -> bool:
    """Whether pixels surely lie in several places: seen from one side there is a gap between them."""
    for axis in range(where.ndim):
        line = where.any(axis=tuple(other for other in range(where.ndim) if other != axis))
        if np.count_nonzero(np.diff(line.astype(np.int8), prepend=0, append=0)) > 2:
            return True
    return False
