"""What a Spec's choices from the tables need of its other fields, and of each other."""

import math
from collections.abc import Collection, Iterable
from typing import Any, NoReturn

from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.spec.attention import ATTENTIONS
from keras_unetpp.spec.choices import Choices
from keras_unetpp.spec.context import CONTEXTS
from keras_unetpp.spec.designs import BLOCKS
from keras_unetpp.spec.norms import NORMS

Fields = tuple[tuple[str, Collection[str | None]], ...]


def check_choices(spec: Any, fields: Fields) -> None:
    """Raise `InputError` unless each of these fields is one of its values."""
    name, allowed = fields[0]
    try:
        for name, allowed in fields:
            if getattr(spec, name) not in allowed:
                _refuse(name, getattr(spec, name), allowed)
    except TypeError:  # a list or the like, which is no key
        _refuse(name, getattr(spec, name), allowed)


def _refuse(name: str, value: Any, allowed: Iterable[str | None]) -> NoReturn:
    order = [str(item).lower() if item is None else repr(item) for item in allowed]
    raise InputError(f"Spec.{name} must be one of {', '.join(order)}. Received: {brief(value)}.")


def check_ranks(spec: Any, tables: Iterable[tuple[str, Choices[Any]]]) -> None:
    """Raise `InputError` unless each row that is chosen is one for images, or volumes, as the Spec is."""
    rank = spec.rank
    for name, table in tables:
        value = getattr(spec, name)
        if value is not None and rank not in table[value].ranks:
            ranks = " and ".join(f"{one}-D" for one in table[value].ranks)
            fit = " or ".join(repr(other) for other, row in table.items() if rank in row.ranks)
            raise InputError(f"Spec.{name}={value!r} is for {ranks}: Keras has none for {rank}-D. Use {fit}.")


def check_divided(spec: Any) -> None:
    """Raise `InputError` unless the widths can be divided as blocks, attention and normalisation divide them."""
    decoder = spec.decoder_block or spec.block
    chosen = (("block", spec.block),) if decoder == spec.block else (("block", spec.block), ("decoder_block", decoder))
    for name, value in chosen:
        block = BLOCKS[value]
        if block.divides is not None:
            _check_divides(spec, block.divides, f"{name}={value!r}")
        if block.normalizes is not None and NORMS[spec.norm].in_groups:
            _check_normalizes(spec, block.normalizes, f"{name}={value!r}")
        multiple = block.multiple
        if multiple > 1 and any(width % multiple for width in spec.filters):
            raise InputError(
                f"Spec.filters must be multiples of {multiple} for {name}={value!r}. Received: {spec.filters}."
            )
    if (divides := ATTENTIONS[spec.attention].divides) is not None:
        _check_divides(spec, divides, f"attention={spec.attention!r}")
    if NORMS[spec.norm].in_groups:
        # A block that normalises what it is given has the backbone's taps among it.
        read = tuple(tap.channels for tap in spec.taps) if BLOCKS[decoder].normalizes_input else ()
        if any(width % spec.norm_groups for width in (*spec.filters, *read)):
            raise InputError(
                f"Spec.norm_groups must divide all filters{' and taps' if read else ''}. Received:"
                f" norm_groups={spec.norm_groups}, {(*spec.filters, *read)}."
            )


def check_context(spec: Any) -> None:
    """Raise `InputError` unless the lowest node is as wide as its context needs, and its norm one for single cells."""
    narrows, norm = CONTEXTS[spec.context].narrows, NORMS[spec.norm]
    if not narrows:
        return
    chosen = f"context={spec.context!r}"
    lowest = spec.taps[-1].channels if spec.taps else spec.filters[-1]
    if lowest % narrows:
        raise InputError(
            f"Spec.{chosen} needs a multiple of {narrows} channels in the lowest row, of filters or of the backbone."
            f" Received: {lowest}. Use {lowest + -lowest % narrows} filters there, or another context."
        )
    if norm.over_sides:
        raise InputError(
            f"Spec.norm={spec.norm!r} leaves nothing of the single cell that {chosen} makes of an image. Use"
            f" {' or '.join(repr(name) for name, row in NORMS.items() if not row.over_sides)}."
        )
    inner = lowest // narrows
    if norm.in_groups and (inner % spec.norm_groups or inner == spec.norm_groups):
        raise InputError(
            f"Spec.norm_groups must divide the {inner} channels of each part of {chosen}, and be fewer. Received:"
            f" norm_groups={spec.norm_groups}. Use another norm, or wider filters."
        )


def _check_divides(spec: Any, field: str, chosen: str) -> None:
    count = getattr(spec, field)
    if any(width % count for width in spec.filters):
        raise InputError(
            f"Spec.{field} must divide all filters for {chosen}. Received: {field}={count}, {spec.filters}. Use a"
            f" divisor of {math.gcd(*spec.filters)}."
        )


def _check_normalizes(spec: Any, field: str, chosen: str) -> None:
    count = getattr(spec, field)
    if count % spec.norm_groups:
        raise InputError(
            f"Spec.norm_groups must divide {field} for {chosen}. Received: norm_groups={spec.norm_groups},"
            f" {field}={count}. Use another norm, or a multiple of {spec.norm_groups} as {field}."
        )
