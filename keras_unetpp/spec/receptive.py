"""How far an output pixel sees, by exact interval arithmetic over the plan's rows."""

from collections.abc import Callable

from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.plan import Level, Row, plan

Span = tuple[int, int]

_SOURCES: dict[str, Callable[[int, int], Span]] = {
    "conv": lambda cell, kernel: (cell - kernel // 2, cell + kernel // 2),
    "max_pool": lambda cell, kernel: (2 * cell, 2 * cell + 1),
    # The adjoint of a strided convolution that pads kernel - 2 in all, the smaller half first.
    "transpose": lambda cell, kernel: ((cell + (kernel - 2) // 2 - kernel + 2) // 2, (cell + (kernel - 2) // 2) // 2),
    "nearest": lambda cell, kernel: (cell // 2, cell // 2),
    "bilinear": lambda cell, kernel: ((cell - 1) // 2, (cell + 1) // 2),
}
"""Kind of row -> first and last cell of its source that one of its cells reads along a side; else the cell itself."""


def receptive_radius(spec: Spec, level: Level = None) -> int:
    """Input pixels that an output pixel of a level can depend on to each side of itself, along every side alike.

    Down- and up-sampling make the view depend on where in a block of 2^depth pixels the output pixel lies; this is
    the widest one, which at least one position reaches. What `group`, `instance` and `standardize` normalisation, and
    squeeze and excitation in backbones, learn from the whole image is not counted.

    Args:
        spec: the network.
        level: 1..d; None or "mean" for all heads together.

    Raises:
        InputError: for a level the network does not have.

    >>> [receptive_radius(Spec(), level) for level in (1, 2, 3, 4)]
    [9, 23, 51, 107]
    """
    rows = plan(spec, level)
    spans: dict[str, tuple[Span, ...]] = {}
    for row in rows:
        cells = range(spec.divisor // 2**row.resolution)
        spans[row.name] = tuple(_span(row, cell, spans, spec.divisor) for cell in cells)
    outputs = [spans[row.name] for row in rows if row.resolution == 0]
    return max(max(pixel - first, last - pixel) for out in outputs for pixel, (first, last) in enumerate(out))


def _span(row: Row, cell: int, spans: dict[str, tuple[Span, ...]], period: int) -> Span:
    """First and last input pixel that a cell depends on; the spans of a row repeat, shifted, every `period` pixels."""
    if not row.reads:
        return cell, cell
    if row.tap:
        start = cell * row.tap.reduction
        return start - row.tap.before, start + row.tap.reduction - 1 + row.tap.after
    first, last = _SOURCES[row.kind](cell, row.kernel) if row.kind in _SOURCES else (cell, cell)
    ends = []
    for source in row.reads:
        (low_block, low), (high_block, high) = (divmod(end, len(spans[source])) for end in (first, last))
        ends.append((spans[source][low][0] + low_block * period, spans[source][high][1] + high_block * period))
    return min(low for low, _ in ends), max(high for _, high in ends)
