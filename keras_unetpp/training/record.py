"""What data a run or a search saw, so that going on with other data is noticed.

A sample is known by its split and name, its kind, the sizes of its files in bytes and, unless there is very much
data, a digest of what is in them; so a copy of a folder elsewhere is the same data.
"""

import hashlib
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from keras_unetpp.data.contents import listed
from keras_unetpp.data.folders import Sample
from keras_unetpp.kit.errors import InputError, InputWarning

MOST_BYTES = 2**31
"""Files of more bytes together are known by their sizes alone."""

UNHASHED = "-"

Record = dict[str, dict[str, str]]
"""split -> name -> "bytes of the image, bytes of the mask, digest, kind", separated by spaces."""


def record(samples: Sequence[Sample]) -> Record:
    """The record of samples.

    Raises:
        InputError: a file is missing.
    """
    sizes = [(_stat(sample.image), _stat(sample.mask)) for sample in samples]
    hashed = sum(image[0] + mask[0] for image, mask in sizes) <= MOST_BYTES
    seen: Record = {}
    for sample, (image, mask) in zip(samples, sizes, strict=True):
        digest = _digest(sample.image, sample.mask, image, mask) if hashed else UNHASHED
        seen.setdefault(sample.split, {})[sample.name] = f"{image[0]} {mask[0]} {digest} {sample.kind}".rstrip()
    return seen


def changes(before: Any, now: Record) -> str:
    """How data differs from that of a record, in words; empty if it does not."""
    old, new = _by_key(before), _by_key(now)
    removed, added = old.keys() - new.keys(), new.keys() - old.keys()
    moved = {name for _, name in removed} & {name for _, name in added}
    differing = [key[1] for key in old.keys() & new.keys() if not _alike(old[key], new[key])]
    parts = (
        ([name for _, name in removed if name not in moved], "removed"),
        ([name for _, name in added if name not in moved], "added"),
        (moved, "in another split"),
        (differing, "with other content"),
    )
    return ", ".join(f"{len(names):,} {what} ({listed(names)})" for names, what in parts if names)


def _by_key(seen: Any) -> dict[tuple[str, str], str]:
    return {(split, name): about for split, own in seen.items() for name, about in own.items()}


def _alike(one: str, other: str) -> bool:
    parts, others = ([*text.split(" ", 3), "", "", ""][:4] for text in (one, other))
    if UNHASHED in (parts[2], others[2]):
        parts[2] = others[2] = UNHASHED
    return parts == others


def _stat(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    return about.st_size, about.st_mtime_ns


@lru_cache(maxsize=2**17)
def _digest(image: Path, mask: Path, *_: tuple[int, int]) -> str:
    """Of the bytes of both files; their sizes and times keep the answers of the same files apart."""
    total = hashlib.blake2b(digest_size=8)
    for path in (image, mask):
        total.update(hashlib.blake2b(path.read_bytes(), digest_size=16).digest())
    return total.hexdigest()


def check_same(what: object, before: Any, now: Record, data_changed: bool) -> bool:
    """Whether what is noted of the data has to be written anew, since it was not known or has changed as was said.

    Args:
        what: the folder of the run or search.
        before: the record that is noted there; None if it was made by a version that noted none.
        now: the record of the data at hand.
        data_changed: the caller knows that the data has changed.

    Raises:
        InputError: the data has changed.
    """
    if before is None:
        warnings.warn(
            f"{what} was made by an earlier version and does not say with what data, so whether this is the same is not"
            " known. From now on it is noted.",
            InputWarning,
            stacklevel=4,
        )
        return True
    differences = changes(before, now)
    if differences and not data_changed:
        raise InputError(
            f"{what} was made with other data: {differences}. Give the data as it was, choose another folder, or say"
            " data_changed=True (--data-changed) to go on with this data."
        )
    return bool(differences)
