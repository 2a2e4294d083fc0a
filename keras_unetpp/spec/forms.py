"""Numbers of channels as linear forms in the widths of a Spec, and what is counted from them as quadratic ones.

The variables are (1, channels of the image, classes, filters of row 0, 1, .., decoder filters of row 0, 1, .. if the
Spec has any, channels of the backbone's taps), so that Specs which differ only in widths share one plan and one set of
costs.
"""

from collections.abc import Iterable, Iterator
from operator import mul
from typing import Any

Form = tuple[Any, ...]
"""Factors of the variables: whole numbers, or fractions of widths that are shared out."""

Term = tuple[int, int, Any]
"""(i, j, factor), which means factor * v[i] * v[j] for the variables v; v[0] is 1."""

ONE, CHANNELS, CLASSES, FILTERS = range(4)
"""Where the variables stand; from FILTERS on, one a row."""


def value(form: Form, values: Form) -> int:
    """A linear form at given values of its variables.

    Raises:
        ValueError: it is no whole number there.
    """
    found = sum(map(mul, form, values))
    if found != int(found):
        raise ValueError(f"A width of {found} channels is not whole: its design must name the multiple that it needs.")
    return int(found)


def constant(count: int, like: Form) -> Form:
    """The form that is a number, whatever the variables; with as many factors as another."""
    return tuple(count * (position == ONE) for position in range(len(like)))


def scaled(form: Form, factor: Any) -> Form:
    """A form times a number."""
    return tuple(factor * part for part in form)


def share(form: Form, count: int) -> Form:
    """One of several equal parts of a width, for what derives its width from another's."""
    from fractions import Fraction

    return tuple(part // count if part % count == 0 else Fraction(part) / count for part in form)


def total(forms: Iterable[Form]) -> Form:
    """The sum of forms."""
    return tuple(map(sum, zip(*forms, strict=True)))


def linear(form: Form, factor: Any = 1) -> Iterator[Term]:
    """A linear form as terms."""
    return ((ONE, position, factor * part) for position, part in enumerate(form) if part)


def product(one: Form, other: Form, factor: Any = 1) -> Iterator[Term]:
    """The product of two linear forms as terms."""
    return ((i, j, factor * a * b) for i, a in enumerate(one) if a for j, b in enumerate(other) if b)


def collect(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Terms with those of the same variables added up."""
    found: dict[tuple[int, int], Any] = {}
    for i, j, factor in terms:
        pair = (min(i, j), max(i, j))
        found[pair] = found.get(pair, 0) + factor
    return tuple((i, j, factor) for (i, j), factor in found.items() if factor)
