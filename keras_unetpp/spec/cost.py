"""Closed-form cost of a network: parameters, multiply-accumulates, bytes. Builds nothing, needs no Keras.

For one structure, parameters and multiply-accumulates are quadratic forms in (1, channels, classes, filters.., channels
of a backbone's taps), and live memory is the maximum of a few linear ones. They are derived once from the plan and then
only evaluated, which is what lets a search judge over 10,000 Specs a second.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from keras_unetpp.errors import InputError
from keras_unetpp.spec.fields import Spec, check_sides
from keras_unetpp.spec.plan import (
    CHANNELS,
    ONE,
    Form,
    Level,
    Row,
    check_level,
    lowest,
    plan,
    rows_of,
    structure,
    value,
    variables,
)

BYTES_PER_VALUE = 4
TRAINED_PER_CHANNEL = {"batch": 2, "group": 2, "instance": 2, "layer": 2}
FROZEN_PER_CHANNEL = {"batch": 2}
"""Scale and offset of each normalisation; batch normalisation also keeps a mean and a variance."""

Term = tuple[int, int, int]


class Cost(NamedTuple):
    """What a network, a level or a node costs, for a batch of one in float32.

    Attributes:
        params: all weights, moving averages of batch normalisation included.
        trainable_params: those that training changes.
        macs: multiply-accumulates of convolutions; None if a side is unknown.
        weight_bytes: bytes of the weights in float32.
        activation_bytes: the largest sum of layer outputs alive at once when layers run in building order and each
            output is freed after its last reader; the input and all outputs count. None if a side is unknown. Inside
            backbones, borders that layers add to pad are not counted.
    """

    params: int
    trainable_params: int
    macs: int | None
    weight_bytes: int
    activation_bytes: int | None


@dataclass(frozen=True)
class _Forms:
    """The forms of some rows, as terms (i, j, factor) meaning factor * v[i] * v[j] for the variables v; v[0] is 1.

    `macs` and `peaks` are for one pixel of the lowest row, `fixed` are multiply-accumulates that no size changes.
    """

    trained: tuple[Term, ...]
    frozen: tuple[Term, ...]
    macs: tuple[Term, ...]
    fixed: int
    peaks: tuple[Form, ...]


def cost(spec: Spec, level: Level = None, size: tuple[int, ...] | None = None) -> Cost:
    """Cost of the whole network, or of level Lk cut out with only its own head.

    Args:
        spec: the network.
        level: None for all, 1..d, or "mean".
        size: sides of the input in pixels; default: those of `spec.input_shape`.

    Raises:
        InputError: for a level the network does not have, or a size it cannot take.

    >>> cost(Spec.preset("unet++"), level=1).params
    100961
    """
    return _evaluate(_forms(structure(spec), check_level(spec, level), spec.rank), spec, _pixels(spec, size))


def node_costs(spec: Spec, level: Level = None, size: tuple[int, ...] | None = None) -> dict[str, Cost]:
    """Cost of each node (`x_0_0`, ..) and head (`L1`, ..); `activation_bytes` is the sum of the outputs made there."""
    pixels = _pixels(spec, size)
    parts = dict.fromkeys(row.part for row in plan(spec, level))
    return {part: _evaluate(_forms(structure(spec), level, spec.rank, part), spec, pixels) for part in parts}


def _pixels(spec: Spec, size: tuple[int, ...] | None) -> int | None:
    """Pixels of the lowest row."""
    sides = spec.sides if size is None else tuple(size) if isinstance(size, (tuple, list)) else ()
    if size is not None and (len(sides) != spec.rank or any(type(side) is not int or side < 1 for side in sides)):
        raise InputError(f"size must be {spec.rank} positive whole numbers, without channels. Received: {size!r}.")
    divisor = spec.divisor
    pixels = 1
    for side in sides:
        if side is None:
            return None
        if side % divisor:
            check_sides(sides, divisor)
        pixels *= side // divisor
    return pixels


def _evaluate(forms: _Forms, spec: Spec, pixels: int | None) -> Cost:
    v = variables(spec)
    trained = sum([factor * v[i] * v[j] for i, j, factor in forms.trained])
    params = trained + sum([factor * v[i] * v[j] for i, j, factor in forms.frozen])
    macs = peak = None
    if pixels is not None:
        macs = pixels * sum([factor * v[i] * v[j] for i, j, factor in forms.macs]) + forms.fixed
        peak = BYTES_PER_VALUE * pixels * max([value(form, v) for form in forms.peaks])
    return Cost(params, trained, macs, BYTES_PER_VALUE * params, peak)


@lru_cache(maxsize=4096)
def _forms(structure: tuple, level: Level, rank: int, part: str | None = None) -> _Forms:
    """Forms of a plan, or of one part of it."""
    rows = rows_of(structure, level)
    by_name = {row.name: row for row in rows}
    last = lowest(structure)
    scale = tuple(2 ** (rank * (last - row)) for row in range(last + 1))
    own = [row for row in rows if part in (None, row.part)]
    return _Forms(
        _collect(term for row in own for term in _trained(row, by_name, rank)),
        _collect(term for row in own for term in _frozen(row)),
        _collect(term for row in own for term in _macs(row, by_name, rank, scale)),
        sum(row.tap.fixed for row in own if row.tap),
        _peaks(rows, scale) if part is None else (_total(_made(row, scale) for row in own),),
    )


def _scaled(row: Row, scale: tuple[int, ...]) -> Form:
    return tuple(scale[row.resolution] * factor for factor in row.channels)


def _constant(count: int, like: Form) -> Form:
    return tuple(count * (position == ONE) for position in range(len(like)))


def _made(row: Row, scale: tuple[int, ...]) -> Form:
    """Values of all outputs that a row makes."""
    return _constant(row.tap.values * scale[row.resolution], row.channels) if row.tap else _scaled(row, scale)


def _total(forms: Iterable[Form]) -> Form:
    return tuple(map(sum, zip(*forms, strict=True)))


def _collect(terms: Iterable[Term]) -> tuple[Term, ...]:
    total: dict[tuple[int, int], int] = {}
    for i, j, factor in terms:
        pair = (min(i, j), max(i, j))
        total[pair] = total.get(pair, 0) + factor
    return tuple((i, j, factor) for (i, j), factor in total.items() if factor)


def _linear(form: Form, factor: int) -> Iterable[Term]:
    return ((ONE, position, factor * part) for position, part in enumerate(form))


def _product(row: Row, by_name: dict[str, Row], factor: int) -> Iterable[Term]:
    """factor * input channels * output channels."""
    source = by_name[row.reads[0]].channels
    return ((i, j, factor * a * b) for i, a in enumerate(source) if a for j, b in enumerate(row.channels) if b)


def _frozen(row: Row) -> Iterable[Term]:
    if row.tap:
        yield ONE, ONE, row.tap.frozen
    yield from _linear(row.channels, FROZEN_PER_CHANNEL.get(row.kind, 0))


def _trained(row: Row, by_name: dict[str, Row], rank: int) -> Iterable[Term]:
    if row.tap:
        yield ONE, ONE, row.tap.trained
        yield ONE, CHANNELS, row.tap.image
    if row.kernel:
        yield from _product(row, by_name, row.kernel**rank)
        yield from _linear(row.channels, 1)
    yield from _linear(row.channels, TRAINED_PER_CHANNEL.get(row.kind, 0))


def _macs(row: Row, by_name: dict[str, Row], rank: int, scale: tuple[int, ...]) -> Iterable[Term]:
    """A transposed convolution works once per input pixel, a convolution once per output pixel."""
    if row.tap:
        yield ONE, ONE, row.tap.macs * scale[row.resolution]
        yield ONE, CHANNELS, row.tap.image_macs * scale[row.resolution]
    if row.kernel:
        at = by_name[row.reads[0]].resolution if row.kind == "transpose" else row.resolution
        yield from _product(row, by_name, row.kernel**rank * scale[at])


def _peaks(rows: tuple[Row, ...], scale: tuple[int, ...]) -> tuple[Form, ...]:
    """Live memory at each step, less the steps that another step exceeds whatever the widths are."""
    last_reader = {name: step for step, row in enumerate(rows) for name in row.reads}
    live: dict[str, Form] = {}
    found: set[Form] = set()
    for step, row in enumerate(rows):
        if row.tap:
            inside = _constant(row.tap.live * scale[row.resolution], row.channels)
            found.add(_total([inside, *live.values()]))
        live[row.name] = _scaled(row, scale)
        found.add(_total(live.values()))
        for name in row.reads:
            if last_reader[name] == step:
                live.pop(name, None)
    return tuple(
        form
        for form in found
        if not any(other != form and all(a <= b for a, b in zip(form, other, strict=True)) for other in found)
    )
