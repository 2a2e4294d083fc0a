"""Closed-form cost of a network: parameters, multiply-accumulates, bytes. Builds nothing, needs no Keras.

For one structure, parameters and multiply-accumulates are quadratic forms in the widths, and live memory is the maximum
of a few linear ones: sums and walks over what the operations of its plan state. They are derived once and then only
evaluated, which is what lets a search judge over 10,000 Specs a second.
"""

import math
from collections.abc import Iterable
from itertools import combinations
from operator import mul
from typing import NamedTuple

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.alive import alive
from keras_unetpp.spec.choices import remembered
from keras_unetpp.spec.facts import Site
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.forms import Form, Term, collect, constant, scaled, total
from keras_unetpp.spec.geometry import check_sides
from keras_unetpp.spec.level import Level
from keras_unetpp.spec.plan import check_level, lowest, plan, rows_of, structure, variables
from keras_unetpp.spec.rows import Row, row_name

BYTES_PER_VALUE = 4


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


class _Forms(NamedTuple):
    """What some rows cost, as forms over the variables, all times one denominator.

    `macs` and `peaks` are for one pixel of the lowest row, `image_macs` and `image_peaks` for an image whatever its
    size. A peak is the sum of both at the same place; without rows of fixed sides there are no `image_peaks`.
    """

    trained: tuple[Term, ...]
    frozen: tuple[Term, ...]
    macs: tuple[Term, ...]
    image_macs: tuple[Term, ...]
    peaks: tuple[Form, ...]
    image_peaks: tuple[Form, ...]
    denominator: int


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
    return _evaluate(_forms(structure(spec), check_level(spec, level)), spec, _pixels(spec, size))


def node_costs(spec: Spec, level: Level = None, size: tuple[int, ...] | None = None) -> dict[str, Cost]:
    """Cost of each node (`x_0_0`, ..) and head (`L1`, ..); `activation_bytes` is the sum of the outputs made there."""
    pixels = _pixels(spec, size)
    parts = dict.fromkeys(row.part for row in plan(spec, level))
    return {part: _evaluate(_forms(structure(spec), level, part), spec, pixels) for part in parts}


def _pixels(spec: Spec, size: tuple[int, ...] | None) -> int | None:
    """Pixels of the lowest row."""
    sides: tuple[int | None, ...] = spec.sides
    if size is not None:
        sides = tuple(size) if isinstance(size, (tuple, list)) else ()
        if len(sides) != spec.rank or any(type(side) is not int or side < 1 for side in sides):
            raise InputError(f"size must be {spec.rank} positive whole numbers, without channels. Received: {size!r}.")
        check_sides(sides, spec.divisors)
    return None if None in sides else math.prod(sides) // math.prod(spec.divisors)  # type: ignore[arg-type]


def _evaluate(forms: _Forms, spec: Spec, pixels: int | None) -> Cost:
    v, of = variables(spec), forms.denominator
    trained = sum([factor * v[i] * v[j] for i, j, factor in forms.trained])
    params = (trained + sum([factor * v[i] * v[j] for i, j, factor in forms.frozen])) // of
    macs = peak = None
    if pixels is not None:
        macs = pixels * sum([factor * v[i] * v[j] for i, j, factor in forms.macs])
        if forms.image_macs:
            macs += sum([factor * v[i] * v[j] for i, j, factor in forms.image_macs])
        macs //= of
        peaks = [sum(map(mul, form, v)) for form in forms.peaks]
        if forms.image_peaks:
            besides = [sum(map(mul, form, v)) for form in forms.image_peaks]
            peak = max(pixels * one + more for one, more in zip(peaks, besides, strict=True))
        else:
            peak = pixels * max(peaks)
        peak = BYTES_PER_VALUE * peak // of
    return Cost(params, trained // of, macs, BYTES_PER_VALUE * params, peak)


@remembered(4096)
def _forms(structure: tuple, level: Level, part: str | None = None) -> _Forms:
    """Forms of a plan, or of one part of it."""
    rows = rows_of(structure, level)
    located = sites(structure, level)
    own = [(row.operation, located[row.name]) for row in rows if part in (None, row.part)]
    trained = collect(term for operation, site in own for term in operation.trained(site))
    frozen = collect(term for operation, site in own for term in operation.frozen(site))
    macs = collect(term for operation, site in own if not site.per_image for term in operation.macs(site))
    of_fixed = (term for operation, site in own if site.per_image for term in operation.macs(site))
    image_macs = collect((*of_fixed, *(term for operation, site in own for term in operation.image_macs(site))))
    made = (_placed(operation.made(site), site) for operation, site in own)
    pairs = _peaks(rows, located) if part is None else (_sum(made),)
    peaks = tuple(pair.pixel for pair in pairs)
    image_peaks = tuple(pair.image for pair in pairs) if any(any(pair.image) for pair in pairs) else ()
    factors = [
        *(term[2] for term in (*trained, *frozen, *macs, *image_macs)),
        *(one for form in (*peaks, *image_peaks) for one in form),
    ]
    denominator = math.lcm(*(factor.denominator for factor in factors))

    def whole(terms: tuple[Term, ...]) -> tuple[Term, ...]:
        return tuple((i, j, int(factor * denominator)) for i, j, factor in terms)

    def whole_forms(forms: tuple[Form, ...]) -> tuple[Form, ...]:
        return tuple(tuple(map(int, scaled(form, denominator))) for form in forms)

    terms = (whole(trained), whole(frozen), whole(macs), whole(image_macs))
    return _Forms(*terms, whole_forms(peaks), whole_forms(image_peaks), denominator)


def sites(structure: tuple, level: Level = None) -> dict[str, Site]:
    """Where the operation of each row of a plan stands, by the row's name."""
    rows = rows_of(structure, level)
    outputs = {name: form for row in rows for name, form in row.outputs.items()}
    most = sum(lowest(structure))
    cells = {row.name: row.cells(most) for row in rows}
    return {
        row.name: Site(
            len(row.halvings),
            [outputs[name] for name in row.reads],
            list(row.outputs.values()),
            cells[row_name(row.reads[0])] if row.reads else cells[row.name],
            cells[row.name],
            row.fixed > 0,
        )
        for row in rows
    }


class _Values(NamedTuple):
    """How many values there are: a form for each pixel of the lowest row, and one for an image on top."""

    pixel: Form
    image: Form

    @property
    def first(self) -> Form:
        """Those for an image of one pixel, the fewest that there are."""
        return total(self)


def _placed(form: Form, site: Site) -> _Values:
    """What an operation counts, where its site says that it belongs."""
    none = constant(0, form)
    return _Values(none, form) if site.per_image else _Values(form, none)


def _sum(many: Iterable[_Values]) -> _Values:
    return _Values(*map(total, zip(*many, strict=True)))


def _peaks(rows: tuple[Row, ...], sites: dict[str, Site]) -> tuple[_Values, ...]:
    """Live memory at each step, less the steps that others exceed whatever the widths and the pixels are."""
    found: set[_Values] = set()
    steps = [
        (row.reads, {name: _placed(scaled(form, site.cells), site) for name, form in row.outputs.items()})
        for row in rows
        for site in [sites[row.name]]
    ]
    for row, (before, now) in zip(rows, alive(steps), strict=True):
        if any(inside := row.operation.inside(sites[row.name])):
            found.add(_sum([_placed(inside, sites[row.name]), *before]))
        found.add(_sum(now))
    ends = {values: (*values.pixel, *values.first) for values in found}
    highest = {
        values: form
        for values, form in ends.items()
        if not any(other != form and all(a <= b for a, b in zip(form, other, strict=True)) for other in ends.values())
    }
    for values, form in [*highest.items()]:
        if _between([other for other in highest.values() if other != form], form):
            del highest[values]
    return tuple(highest)


def _between(others: list[Form], form: Form) -> bool:
    """Whether a form is nowhere above a mean of two others: then one of them is as high whatever the widths."""
    return any(
        all(4 * a <= share * b + (4 - share) * c for a, b, c in zip(form, one, other, strict=True))
        for one, other in combinations(others, 2)
        for share in (1, 2, 3)
    )
