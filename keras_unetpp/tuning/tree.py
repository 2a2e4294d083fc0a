"""Axes whose values depend on earlier ones, as conditions. Standard library only.

A tuner draws each axis by itself. Where not every combination of values is on offer, an axis has one branch for each
group of earlier values that leaves it the same choice; so every point that a tuner can draw is on offer.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

Point = tuple[str, ...]

MARK = "#"
"""Between an axis and the number of one of its branches: KerasTuner mixes up hyperparameters of one name."""


class Branch(NamedTuple):
    """One axis under conditions.

    Attributes:
        name: of the axis, with a number if it has several branches.
        values: what it may be.
        conditions: names of earlier branches, each with those of its values under which this one holds.
    """

    name: str
    values: tuple[str, ...]
    conditions: tuple[tuple[str, tuple[str, ...]], ...] = ()


def axis_of(name: str) -> str:
    """The axis of a branch."""
    return name.partition(MARK)[0]


def by_axis(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Values by axis instead of by branch."""
    return {axis_of(name): value for name, value in drawn.items()}


def branches(names: Sequence[str], points: Sequence[Point]) -> list[Branch]:
    """The branches of all axes, in order, that draw exactly the given points.

    Args:
        names: of the axes.
        points: the combinations on offer, one value an axis.

    >>> for branch in branches(["depth", "up"], [("1", "a"), ("1", "b"), ("2", "a")]):
    ...     print(*branch)
    depth ('1', '2') ()
    up#1 ('a', 'b') (('depth', ('1',)),)
    up#2 ('a',) (('depth', ('2',)),)
    """
    found: list[Branch] = []
    named: dict[Point, Point] = {(): ()}
    for axis, name in enumerate(names):
        order = list(dict.fromkeys(point[axis] for point in points))
        allowed: dict[Point, set[str]] = {}
        for point in points:
            allowed.setdefault(point[:axis], set()).add(point[axis])
        choice = {prefix: tuple(value for value in order if value in own) for prefix, own in allowed.items()}
        parents = next(own for size in range(axis + 1) for own in combinations(range(axis), size)
                       if _decide(own, choice))  # fmt: skip
        own, of_prefix = _split(name, parents, choice, named)
        found += own
        named = {(*prefix, value): (*named[prefix], of_prefix[prefix])
                 for prefix, values in choice.items() for value in values}  # fmt: skip
    return found


def _decide(parents: Sequence[int], choice: dict[Point, Point]) -> bool:
    """Whether the values of these axes tell which values are left."""
    seen: dict[Point, Point] = {}
    return all(seen.setdefault(tuple(prefix[k] for k in parents), own) == own for prefix, own in choice.items())


def _split(name: str, parents: Sequence[int], choice: dict[Point, Point],
           named: dict[Point, Point]) -> tuple[list[Branch], dict[Point, str]]:  # fmt: skip
    """The branches of one axis, one for each combination of its parents' values, and the branch of each prefix.

    Values of the last parent that leave the same choice share a branch.
    """
    groups: dict[tuple, list[Point]] = {}
    for prefix, own in choice.items():
        key = (tuple(named[prefix][k] for k in parents), tuple(prefix[k] for k in parents[:-1]), own)
        groups.setdefault(key, []).append(prefix)
    found: list[Branch] = []
    of_prefix: dict[Point, str] = {}
    for number, ((above, first, own), prefixes) in enumerate(groups.items(), 1):
        label = f"{name}{MARK}{number}" if len(groups) > 1 else name
        last = tuple(dict.fromkeys(prefix[parents[-1]] for prefix in prefixes)) if parents else ()
        values = [*((value,) for value in first), last]
        found.append(Branch(label, own, tuple(zip(above, values, strict=False))))
        of_prefix |= dict.fromkeys(prefixes, label)
    return found, of_prefix
