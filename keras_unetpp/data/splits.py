"""A validation share chosen by a hash of names, with the images of a group together."""

import hashlib
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path

from keras_unetpp.kit.errors import InputError, brief

Unit = tuple[bool, str]
"""What goes to one split as a whole: (True, group), or (False, name) of an image without a group."""


def by_share(groups: Mapping[str, str], fraction: float, seed: int, root: Path, exact: bool = False) -> set[str]:
    """The names that go to `val`, of all names, each with its group or "".

    A unit's place depends on its own name and the seed alone, so units added later move no others. With `exact` the
    share comes as near to `fraction` as whole groups allow, but then others may move: only for what is written down.

    Raises:
        InputError: no proper share, or less than two units.
    """
    if not isinstance(fraction, Real) or not 0 < fraction < 1:
        raise InputError(f"val_fraction must lie between 0 and 1 (exclusive), got {brief(fraction)}")
    if not isinstance(seed, Integral):
        raise InputError(f"the seed of a split must be a whole number. Received: {brief(seed)}.")
    units: dict[Unit, list[str]] = {}
    for name, group in groups.items():
        units.setdefault((bool(group), group or name), []).append(name)
    if len(units) < 2:
        what = "groups of images" if any(groups.values()) else "images"
        raise InputError(f"{root} needs at least 2 {what}, one to train on and one to validate on; got {len(units)}")

    def place(unit: Unit) -> float:
        return int.from_bytes(hashlib.sha256(f"{seed}:{unit[1]}".encode(errors="surrogateescape")).digest()[:8]) / 2**64

    order = sorted(units, key=lambda unit: (place(unit), unit))
    if exact:
        chosen = _nearest({unit: len(units[unit]) for unit in order}, fraction * len(groups))
    else:
        count = sum(place(unit) < fraction for unit in order)
        chosen = order[: min(max(count, 1), len(order) - 1)]  # neither split may be empty, however few the files
    return {name for unit in chosen for name in units[unit]}


def _nearest(sizes: Mapping[Unit, int], target: float) -> list[Unit]:
    """Units in their order, each taken if it brings their sum nearer to the target; never none, never all."""
    chosen: list[Unit] = []
    total = 0
    for unit, size in sizes.items():
        if abs(total + size - target) < abs(total - target) and len(chosen) < len(sizes) - 1:
            chosen.append(unit)
            total += size
    return chosen or [min(sizes, key=lambda unit: sizes[unit])]
