"""The widths of one structure that keep a budget. Standard library only.

Every cost but latency grows with the width, so the widest that fits is found by halving; the measured latency of each
width decides for itself.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.cost import cost
from keras_unetpp.spec.fields import Spec
from keras_unetpp.tuning.budget import LATENCY, Budget

WIDEST = 1024
"""No structure is offered more filters in row 0, however large the budget."""

Make = Callable[[int], Spec]
Measure = Callable[[Spec], float]


class Narrowest(NamedTuple):
    """The narrowest network of a structure that breaks the budget.

    Attributes:
        spec: the network.
        spent: what it costs, by limit.
        excess: the largest of its costs over their limits.
    """

    spec: Spec
    spent: dict[str, float]
    excess: float


def fitting(make: Make, budget: Budget, given: Sequence[int] | None, shares: int,
            measure: Measure | None) -> dict[str, int]:  # fmt: skip
    """The widths on offer, widest first, by name: their share of the widest, or the width itself where given.

    Args:
        make: the Spec of a width; raises `InputError` if there is none.
        budget: what they keep.
        given: the widths to choose from; None for the widest that fits and narrower ones.
        shares: how many, unless given.
        measure: milliseconds of a network; used only for a budget of latency.

    Raises:
        InputError: if no width makes a valid Spec.
    """
    if given is not None:
        valid = [width for width in sorted(given, reverse=True) if _valid(make, width)]
        if not valid:
            make(max(given))
        return {str(width): width for width in valid if _fits(make(width), budget, measure)}
    step = _step(make)
    widest = _widest(make, budget, step, measure)
    found: dict[str, int] = {}
    for number in range(shares if widest else 0):
        share = 2 ** (-number / 2)
        width = step * max(1, round(share * widest / step))
        if width not in found.values() and _fits(make(width), budget, measure):
            found[f"{share:.2g}"] = width
    return found


def narrowest(make: Make, budget: Budget, given: Sequence[int] | None, measure: Measure | None) -> Narrowest:
    """What the narrowest network of a structure costs."""
    spec = make(min(width for width in given if _valid(make, width)) if given else _step(make))
    spent: dict[str, float] = dict(budget.spent(spec))
    limits = budget.limits()
    if LATENCY in limits and measure is not None:
        spent[LATENCY] = measure(spec)
    return Narrowest(spec, spent, max(value / limits[name] for name, value in spent.items()))


def _valid(make: Make, width: int) -> bool:
    try:
        make(width)
    except InputError:
        return False
    return True


def _step(make: Make) -> int:
    """The narrowest valid width; its multiples are the others, since widths double from row to row."""
    return next((width for width in range(1, WIDEST + 1) if _valid(make, width)), 0) or make(1).filters[0]


def _widest(make: Make, budget: Budget, step: int, measure: Measure | None) -> int:
    """The widest multiple of `step` that keeps the budget, 0 if none does."""
    low, high = 0, min(WIDEST, make(step).max_filters or WIDEST) // step
    while low < high:
        middle = (low + high + 1) // 2
        if budget.fits(make(step * middle)):
            low = middle
        else:
            high = middle - 1
    return step * _fast_enough(make, budget, step, low, measure)


def _fast_enough(make: Make, budget: Budget, step: int, most: int, measure: Measure | None) -> int:
    """The largest multiple up to `most` whose measured latency fits; each miss tells how far down to go by its MACs."""
    limit = budget.limits().get(LATENCY)
    if limit is None or measure is None:
        return most
    low, high = 0, most
    guess = min(most, 32)
    while low < high:
        spec = make(step * guess)
        taken = measure(spec)
        if taken <= limit:
            low = guess
        else:
            high = guess - 1
        wanted = _macs(spec, budget) * limit / taken
        likely = next((k for k in range(high, low, -1) if _macs(make(step * k), budget) <= wanted), low + 1)
        guess = min(max(likely, low + 1), high)
    return low


def _macs(spec: Spec, budget: Budget) -> int:
    return cost(spec, size=budget.sides(spec)).macs or 0


def _fits(spec: Spec, budget: Budget, measure: Measure | None) -> bool:
    if not budget.fits(spec):
        return False
    limit = budget.limits().get(LATENCY)
    return limit is None or (measure is not None and measure(spec) <= limit)
