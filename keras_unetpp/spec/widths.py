"""The widths of a Spec's rows: how many there are, how they follow from one another, and what they may be."""

from collections.abc import Sequence
from typing import Any

from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.spec import geometry
from keras_unetpp.spec.backbones import backbone
from keras_unetpp.spec.limits import MAX_DEPTH, MOST_CHANNELS, as_tuple, check_whole

FIRST, FIRST_WITH_BACKBONE = 32, 16
"""Filters of row 0, unless told otherwise."""


def count(depth: int, encoder: str | None, stem: bool) -> int:
    """How many `filters` there are: depth + 1, but for the lowest row if that is a tap."""
    own = encoder is None or bool(stem and backbone(encoder).taps[0].row > depth)  # any stem, which is checked later
    return depth + own


def filters(given: Any, width: Any, most: Any, depth: int, encoder: str | None, stem: bool) -> tuple[int, ...]:
    """`Spec.filters`, from what was given of `filters` or `width`, and `max_filters`.

    Raises:
        InputError: if they are no widths, or not as many as rows.
    """
    if width is not None and given:
        raise InputError(
            f"Give Spec filters or width, not both. Received: filters={brief(given)}, width={brief(width)}."
        )
    if most is not None:
        check_whole("max_filters", most, 1, MOST_CHANNELS)
    wanted = count(depth, encoder, stem)
    if not given:
        first = width
        if first is None:
            first = min(FIRST if encoder is None else FIRST_WITH_BACKBONE, most or MOST_CHANNELS)
        check_whole("width", first, 1, MOST_CHANNELS)
        given = grown((first,), wanted, most)
    widths = as_tuple("filters", given)
    text = f"depth + 1 = {wanted}" if wanted > depth else f"depth = {wanted}"
    rows = "one a row" if encoder is None else "one for each row but those that only a backbone fills"
    _check("filters", widths, wanted, f"{text} positive whole numbers, {rows}", most)
    return widths


def decoder_filters(given: Any, most: int | None, depth: int) -> tuple[int, ...]:
    """`Spec.decoder_filters`, as they were given.

    Raises:
        InputError: if they are no widths, or not as many as rows.
    """
    widths = as_tuple("decoder_filters", given)
    if widths:
        _check("decoder_filters", widths, depth, f"depth = {depth} positive whole numbers, of rows 0..depth-1", most)
    return widths


def grown(widths: tuple[int, ...], wanted: int, most: int | None) -> tuple[int, ...]:
    """Widths cut off, or going on with twice the last one up to the most, to be as many as are wanted."""
    more = [widths[-1] * 2**step for step in range(1, wanted - len(widths) + 1)]
    return (*widths, *(more if most is None else [min(one, most) for one in more]))[:wanted]


def followed(spec: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """The widths, and other numbers for each row, that a copy of a Spec has if some of its fields change."""
    depth, most = changes.get("depth", spec.depth), changes.get("max_filters", spec.max_filters)
    if type(depth) is not int or not 1 <= depth <= MAX_DEPTH or not (most is None or (type(most) is int and most > 0)):
        return {}  # and an error, once the copy is made
    found: dict[str, Any] = {}
    if "filters" not in changes:
        wanted = count(depth, changes.get("backbone", spec.backbone), changes.get("stem", spec.stem))
        found["filters"] = () if changes.get("width") is not None else grown(spec.filters, wanted, most)
    if "decoder_filters" not in changes and spec.decoder_filters:
        found["decoder_filters"] = grown(spec.decoder_filters, depth, most)
    if changes.get("max_filters") is not None:
        found = {name: tuple(min(one, changes["max_filters"]) for one in widths) for name, widths in found.items()}
    return found | {name: entries for name, entries in geometry.followed(spec, depth).items() if name not in changes}


def _check(name: str, widths: Sequence[Any], wanted: int, text: str, most: int | None) -> None:
    if len(widths) != wanted or any([type(item) is not int or item < 1 for item in widths]):
        raise InputError(f"Spec.{name} must be {text}. Received: {brief(widths)}.")
    if max(widths) > MOST_CHANNELS:
        raise InputError(
            f"Spec.{name} must be at most {MOST_CHANNELS:,} each; a width doubles from row to row. Received:"
            f" {brief(tuple(widths))}. Use a smaller width or depth."
        )
    if most is not None and max(widths) > most:
        raise InputError(
            f"Spec.{name} must be at most max_filters={most} each. Received: {brief(tuple(widths))}. Use a larger"
            " max_filters, or none."
        )
