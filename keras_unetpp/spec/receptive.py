"""How far an output pixel sees, by exact interval arithmetic over the plan's rows."""

from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.spec.facts import Span
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.level import Level
from keras_unetpp.spec.plan import plan
from keras_unetpp.spec.rows import Row, row_name


def receptive_radius(spec: Spec, level: Level = None, axis: int | None = None) -> int:
    """Input pixels that an output pixel of a level can depend on to each side of itself, along every side.

    Down- and up-sampling make the view depend on where in a block of `divisors` pixels the output pixel lies; this is
    the widest one, which at least one position reaches. What is learned from the whole image is not counted: by
    `group`, `instance` and `standardize` normalisation, squeeze and excitation in blocks and backbones, and pooling in
    a `context`.

    Args:
        spec: the network.
        level: 1..d; None or "mean" for all heads together.
        axis: of the sides, from 0 on; None for the one along which it sees farthest.

    Raises:
        InputError: for a level or a side the network does not have.

    >>> [receptive_radius(Spec(), level) for level in (1, 2, 3, 4)]
    [9, 23, 51, 107]
    >>> [receptive_radius(Spec((None, None, None, 1), depth=1, strides=((1, 2, 2),)), axis=axis) for axis in (0, 1)]
    [6, 9]
    """
    if axis is not None and (type(axis) is not int or not 0 <= axis < spec.rank):
        raise InputError(f"axis must be a whole number from 0 to {spec.rank - 1}, or None. Received: {brief(axis)}.")
    rows = plan(spec, level)
    if axis is not None:
        return _radius(rows, axis)
    # Where no number of the Spec is one of an axis, all axes see equally far.
    alike = not any(isinstance(entry, tuple) for entry in (*spec.strides, *spec.kernels))
    return max(_radius(rows, axis) for axis in range(1 if alike else spec.rank))


def _radius(rows: tuple[Row, ...], axis: int) -> int:
    """The widest view along one axis."""
    period = max(2 ** row.halvings[axis] for row in rows)
    spans: dict[str, tuple[Span, ...]] = {}
    for row in rows:
        cells = range(period // 2 ** row.halvings[axis])
        spans[row.name] = tuple(_span(row, cell, axis, spans, period) for cell in cells)
    outputs = [spans[row.name] for row in rows if not any(row.halvings)]
    return max(max(pixel - first, last - pixel) for out in outputs for pixel, (first, last) in enumerate(out))


def _span(row: Row, cell: int, axis: int, spans: dict[str, tuple[Span, ...]], period: int) -> Span:
    """First and last input pixel that a cell depends on; the spans of a row repeat, shifted, every `period` pixels."""
    ends = row.operation.reach(cell, axis)
    if row.operation.of_image:
        return ends
    lows, highs = [], []
    for source in map(row_name, row.reads):
        (low_block, low), (high_block, high) = (divmod(end, len(spans[source])) for end in ends)
        lows.append(spans[source][low][0] + low_block * period)
        highs.append(spans[source][high][1] + high_block * period)
    return min(lows), max(highs)
