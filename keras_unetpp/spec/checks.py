"""What a Spec's choices from the tables need of its other fields, and of each other."""

import math
from collections.abc import Collection, Iterable
from typing import Any, NoReturn

from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.spec.attention import ATTENTIONS
from keras_unetpp.spec.backbones import backbone
from keras_unetpp.spec.choices import Choices, remembered
from keras_unetpp.spec.context import CONTEXTS
from keras_unetpp.spec.designs import BLOCKS
from keras_unetpp.spec.merges import MERGES
from keras_unetpp.spec.norms import NORMS
from keras_unetpp.spec.topology import SKIPS, nodes, reads
from keras_unetpp.spec.ups import UPS

Fields = tuple[tuple[str, Collection[str | None]], ...]


WEIGHT_NAMES = ("imagenet", "own")
WEIGHT_FILES = (".safetensors", ".h5", ".pth")


def are_weights(value: Any) -> bool:
    """Whether `Spec.encoder_weights` may be this: none, a name, or the name of a file of weights."""
    return value is None or (isinstance(value, str) and (value in WEIGHT_NAMES or value.endswith(WEIGHT_FILES)))


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


def check_ways(spec: Any) -> None:
    """Raise `InputError` unless the way up finds what it reads of the way down, and the topology its skips."""
    down = UPS[spec.up].down
    if down is not None and spec.down != down:
        raise InputError(
            f"Spec.up={spec.up!r} undoes down={down!r}. Received: down={spec.down!r}. Use down={down!r}, or another up."
        )
    if down is not None and not _row_by_row(spec.topology, spec.depth):
        raise InputError(
            f"Spec.up={spec.up!r} goes up from each row to the next, and topology={spec.topology!r} leaves rows out."
            " Use another up, or another topology."
        )
    if down is not None and spec.backbone is not None:
        raise InputError(
            f"Spec.up={spec.up!r} reads where the own encoder's pooling found its values, which a backbone does not"
            f" tell. Received: backbone={spec.backbone!r}. Use another up, or no backbone."
        )
    if not MERGES[spec.merge].skips and spec.topology not in (alone := _without_skips(spec.depth)):
        raise InputError(
            f"Spec.merge={spec.merge!r} reads no skips, and topology={spec.topology!r} differs from others by its skips"
            f" alone. Use topology={' or '.join(map(repr, alone))}, or another merge."
        )


@remembered(None)
def _row_by_row(topology: str, depth: int) -> bool:
    """Whether each node of a decoder reads one of the row below its own."""
    return all(reads(topology, node)[0].row == node.row + 1 for node in nodes(topology, depth) if node.column)


@remembered(None)
def _without_skips(depth: int) -> tuple[str, ...]:
    """The topologies that do not repeat another one of this depth where no skips are read."""
    first = range(1)
    return tuple(
        name for name, row in SKIPS.items() if all(row.skips(column) == first for column in range(1, depth + 1))
    )


def check_backbone(spec: Any) -> None:
    """Raise `InputError` unless the flags are flags, and what is for backbones fits the backbone."""
    for name, flag in (("stem", spec.stem), ("deep_supervision", spec.deep_supervision), ("bias", spec.bias)):
        if flag is not True and flag is not False:
            raise InputError(f"Spec.{name} must be True or False. Received: {brief(flag)}.")
    if spec.backbone is None:
        if spec.encoder_weights is None and spec.stem:
            return
        name = "stem" if spec.encoder_weights is None else "encoder_weights"
        value = brief(getattr(spec, name))
        raise InputError(f"Spec.{name} is for backbones. Received: {name}={value} and no backbone.")
    if spec.strides:
        raise InputError(
            "Spec.strides is for networks without a backbone, whose rows halve every side. Received:"
            f" strides={brief(spec.strides)}, backbone={spec.backbone!r}. Leave one of them out."
        )
    taps, weights = backbone(spec.backbone).taps, spec.encoder_weights
    deepest = taps[-1].row - spec.shift
    if spec.depth > deepest:
        raise InputError(
            f"Backbone {spec.backbone!r} reaches down to reduction {taps[-1].reduction}, so Spec.depth must be at most"
            f" {deepest}{'' if spec.stem else ' with stem=False'}. Received: {spec.depth}."
        )
    if not are_weights(weights):
        raise InputError(
            f"Spec.encoder_weights must be none, {', '.join(map(repr, WEIGHT_NAMES))}, or a file ending in"
            f" {', '.join(WEIGHT_FILES)}. Received: {brief(weights)}."
        )


def check_divided(spec: Any) -> None:
    """Raise `InputError` unless the widths can be divided as blocks, attention and normalisation divide them."""
    decoder = spec.decoder_block or spec.block
    chosen = [("block", spec.block, "filters")]
    if decoder != spec.block or spec.decoder_filters:
        field = "decoder_filters" if spec.decoder_filters else "filters"
        chosen.append(("decoder_block" if spec.decoder_block else "block", decoder, field))
    for name, value, field in chosen:
        block, widths = BLOCKS[value], getattr(spec, field)
        if block.divides is not None:
            _check_divides(spec, block.divides, f"{name}={value!r}", field)
        if block.normalizes is not None and NORMS[spec.norm].in_groups:
            _check_normalizes(spec, block.normalizes, f"{name}={value!r}")
        multiple = block.multiple
        if multiple > 1 and any(width % multiple for width in widths):
            raise InputError(f"Spec.{field} must be multiples of {multiple} for {name}={value!r}. Received: {widths}.")
    if (divides := ATTENTIONS[spec.attention].divides) is not None:
        for field in ("filters", "decoder_filters"):
            _check_divides(spec, divides, f"attention={spec.attention!r}", field)
    if UPS[spec.up].multiple > 1:
        _check_up(spec)
    if NORMS[spec.norm].in_groups:
        # A block that normalises what it is given has the backbone's taps among it.
        read = tuple(tap.channels for tap in spec.taps) if BLOCKS[decoder].normalizes_input else ()
        every = (*spec.filters, *spec.decoder_filters, *read)
        if any(width % spec.norm_groups for width in every):
            raise InputError(
                f"Spec.norm_groups must divide all filters{' and taps' if read else ''}. Received:"
                f" norm_groups={spec.norm_groups}, {every}."
            )
    if CONTEXTS[spec.context].narrows:
        _check_context(spec)


def _check_context(spec: Any) -> None:
    """Raise `InputError` unless the lowest node is as wide as its context needs, and its norm one for single cells."""
    narrows, norm = CONTEXTS[spec.context].narrows, NORMS[spec.norm]
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


def _check_up(spec: Any) -> None:
    every = (*spec.filters, *spec.decoder_filters, *(tap.channels for tap in spec.taps))
    multiple, grouped = UPS[spec.up].multiple, NORMS[spec.norm].in_groups
    if any(width % (multiple * (spec.norm_groups if grouped else 1)) for width in every):
        times = f" times norm_groups={spec.norm_groups}" if grouped else ""
        raise InputError(
            f"Spec.filters{' and taps' if spec.taps else ''} must be multiples of {multiple}{times} for up={spec.up!r}."
            f" Received: {every}. Use other widths{', or another norm' if grouped else ''}."
        )


def _check_divides(spec: Any, field: str, chosen: str, widths: str) -> None:
    count, divided = getattr(spec, field), getattr(spec, widths)
    if any(width % count for width in divided):
        raise InputError(
            f"Spec.{field} must divide all {widths} for {chosen}. Received: {field}={count}, {divided}. Use a divisor"
            f" of {math.gcd(*divided)}."
        )


def _check_normalizes(spec: Any, field: str, chosen: str) -> None:
    count = getattr(spec, field)
    if count % spec.norm_groups:
        raise InputError(
            f"Spec.norm_groups must divide {field} for {chosen}. Received: norm_groups={spec.norm_groups},"
            f" {field}={count}. Use another norm, or a multiple of {spec.norm_groups} as {field}."
        )
