"""What differs from row to row and from axis to axis: strides, kernels and dilations, as a Spec has them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.spec.facts import Sides, divided

ByAxis = int | Sides
"""One number for all axes, or one for each."""

ByRow = tuple[ByAxis, ...]
"""Entries from the top down; a single one is for all; empty: as usual."""

BY_ROW = ("strides", "kernels", "dilations")
"""The fields of Spec of this kind."""

_MORE = {"block_layers": 1, "strides": 0, "kernels": 1, "dilations": 1}
"""Field with entries from the top down -> how many more than depth they are."""

WIDEST = 15
"""Pixels of a side of a kernel."""
FARTHEST = 32
"""Pixels from one of a kernel to the next."""


def at(entries: Sequence[Any], place: int, usual: Any) -> Any:
    """The entry of a row, or of a step between rows; without entries, the usual."""
    return entries[min(place, len(entries) - 1)] if entries else usual


def along(size: ByAxis, axis: int) -> int:
    """The number of one axis."""
    return size if isinstance(size, int) else size[axis]


def by_axis(size: ByAxis, rank: int) -> Sides:
    """A number for each axis."""
    return (size,) * rank if isinstance(size, int) else size


def volume(size: ByAxis, rank: int) -> int:
    """The product over all axes, such as the pixels of a kernel."""
    return math.prod(by_axis(size, rank))


def joined(size: ByAxis) -> ByAxis:
    """One number where that of all axes is the same."""
    return size if isinstance(size, int) or len({*size}) > 1 else size[0]


def halvings(strides: ByRow, row: int, rank: int) -> Sides:
    """How often each axis of a row was halved.

    >>> halvings((), 3, 2), halvings(((1, 2, 2), 2), 2, 3)
    ((3, 3), (1, 2, 2))
    """
    found: Sides = (0,) * rank
    for step in range(row):
        found = divided(found, by_axis(at(strides, step, 2), rank))
    return found


def as_entries(value: Any) -> Any:
    """A field of Spec by row, its lists, as JSON has them, as tuples; what is no list stays as it is."""
    if not isinstance(value, (list, tuple)):
        return value
    return tuple(tuple(entry) if isinstance(entry, list) else entry for entry in value)


def followed(spec: Any, depth: int) -> dict[str, Any]:
    """The entries that a copy of a Spec of another depth has: cut off, or the last one goes on."""
    every = {name: (getattr(spec, name), depth + more) for name, more in _MORE.items()}
    return {name: (entries + entries[-1:] * (count - len(entries)))[:count]
            for name, (entries, count) in every.items() if len(entries) > 1}  # fmt: skip


def check_entries(strides: Any, kernels: Any, dilations: Any, depth: int, rank: int) -> None:
    """Raise `InputError` unless each of these fields has an entry for each row or step, one for all, or none."""
    row = f"depth + 1 = {depth + 1} entries, one a row"
    _check("strides", strides, depth, f"depth = {depth} entries, one from each row to the next", (1, 2), rank)
    _check("kernels", kernels, depth + 1, row, range(1, WIDEST + 1, 2), rank)
    _check("dilations", dilations, depth + 1, row, range(1, FARTHEST + 1))


def padded(sides: Iterable[int], divisors: ByAxis) -> Sides:
    """Each side, or the next multiple of its divisor."""
    pixels = tuple(sides)
    return tuple(-(-side // step) * step for side, step in zip(pixels, by_axis(divisors, len(pixels)), strict=True))


def check_sides(sides: Iterable[int | None], divisors: ByAxis) -> None:
    """Raise `InputError` naming the padded size unless every known side is a multiple of its divisor."""
    received = tuple(sides)
    steps = by_axis(divisors, len(received))
    if not any([side is not None and side % step for side, step in zip(received, steps, strict=True)]):
        return
    alike = joined(steps)
    needed = f"Every side must be a multiple of {alike}, the reduction of the lowest row."
    if alike is steps:
        needed = f"Sides must be multiples of {steps}, the reductions of the lowest row."
    fitting = tuple(side and -(-side // step) * step for side, step in zip(received, steps, strict=True))
    raise InputError(
        f"{needed} Received: {received}. Pad to {fitting}, use a smaller depth, or call segment(), which pads and crops"
        " by itself."
    )


def _check(name: str, entries: Any, count: int, text: str, numbers: Sequence[int], rank: int = 0) -> None:
    if isinstance(entries, tuple) and len(entries) in (0, 1, count) and all(
        _fits(entry, numbers) or (isinstance(entry, tuple) and len(entry) == rank > 0
                                  and all(_fits(side, numbers) for side in entry))
        for entry in entries
    ):  # fmt: skip
        return
    low, second, high = numbers[0], numbers[1], numbers[-1]
    kind = "1 or 2" if high == second else f"{'a whole' if second == 2 else 'an odd'} number from {low} to {high}"
    if rank:
        axes = (low, *(second,) * (rank - 1))
        kind += f", or {rank} of these, one an axis, as in ({axes}, {second}) or {'x'.join(map(str, axes))},{second}"
    raise InputError(f"Spec.{name} must be {text}, or one for all; each is {kind}. Received: {brief(entries)}.")


def _fits(value: Any, numbers: Sequence[int]) -> bool:
    return type(value) is int and value in numbers
