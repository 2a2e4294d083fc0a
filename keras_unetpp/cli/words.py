"""Words of the command line as values: one converter for each option, derived from the type of what it sets."""

import types
import typing
from collections.abc import Callable, Collection, Iterable
from dataclasses import InitVar
from typing import Any

Converter = Callable[[str], Any]

LEVEL = int | str
"""1..d, or "mean"."""
SIDES = tuple[int | None, ...]


def converter(wanted: Any, allowed: Iterable[Any] = ()) -> Converter:
    """What turns a word into a value of a type.

    A word that is allowed means itself; `none` is None where that may be. None, true, false and words that are allowed
    may be written in capitals. What does not fit the type stays the word, so that whoever checks the value can name it.
    A tuple is written 8,32,32 or 8x32x32; one whose items may be tuples, 1x2x2,2.

    Args:
        wanted: a type, or a union of types, of `int`, `float`, `bool`, `str`, `None` and tuples of these.
        allowed: words that the field takes.

    >>> [converter(int | None)(word) for word in ("3", "1e3", "none", "three")]
    [3, 1000, None, 'three']
    >>> converter(str, ("none", "batch"))("None")
    'none'
    >>> converter(tuple[int | None, ...])("none,none,1")
    (None, None, 1)
    >>> converter(tuple[int | tuple[int, ...], ...])("1x2x2,2")
    ((1, 2, 2), 2)
    """
    words, kinds = {word.lower(): word for word in allowed if isinstance(word, str)}, _kinds(wanted)

    def convert(text: str) -> Any:
        if text.lower() in words:
            return words[text.lower()]
        for kind in kinds:
            try:
                return _READERS[kind](text) if kind in _READERS else _items(kind, text)
            except ValueError:
                continue
        return text

    return convert


def several(one: Converter, fits: Callable[[Any], bool] = lambda value: True) -> Converter:
    """A value, or a tuple of several where commas part them.

    Args:
        one: reads one value.
        fits: whether a value is one. A comma after what is none is a part of it, as in the name of a file; if the end
            is none, so is the whole, which stays a word.
    """

    def convert(text: str) -> Any:
        values, words = [], text.split(",")
        start = 0
        for end in range(1, len(words) + 1):
            if fits(value := one(",".join(words[start:end]))):
                values.append(value)
                start = end
        return tuple(values) if start == len(words) and len(values) > 1 else one(text)

    return convert


def is_one(value: Any, wanted: Any, allowed: Collection[Any]) -> bool:
    """Whether a value, as `converter` made it of a word, fits a type and the words that are allowed, if any are."""
    return value in allowed if allowed else not isinstance(value, str) or str in _kinds(wanted)


def is_list(wanted: Any) -> bool:
    """Whether commas part the items of one value: its type is a tuple, and nothing else that commas could part."""
    kinds = [kind for kind in _kinds(wanted) if kind is not types.NoneType]
    return all(typing.get_origin(kind) is tuple for kind in kinds)


def _kinds(wanted: Any) -> tuple[Any, ...]:
    """The types of a union, those first that take the fewest words."""
    if isinstance(wanted, InitVar):
        wanted = wanted.type
    union = typing.get_origin(wanted) in (typing.Union, types.UnionType)
    order = [types.NoneType, bool, int, float, str]
    kinds = typing.get_args(wanted) if union else (wanted,)
    # Tuples before text, since any word is a text.
    return tuple(sorted(kinds, key=lambda kind: order.index(kind) if kind in order else order.index(str) - 0.5))


def _items(kind: Any, text: str) -> tuple[Any, ...]:
    item, *_ = typing.get_args(kind)
    one, texts, nested = converter(item), str in _kinds(item), any(typing.get_origin(one) for one in _kinds(item))
    values = tuple(one(part.strip()) for part in (text if texts or nested else text.replace("x", ",")).split(","))
    if not texts and any(isinstance(value, str) for value in values):
        raise ValueError(text)
    return values


def _none(text: str) -> None:
    if text.lower() != "none":
        raise ValueError(text)


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if not value.is_integer():
            raise ValueError(text) from None
        return int(value)


_READERS: dict[Any, Converter] = {types.NoneType: _none, bool: _bool, int: _int, float: float, str: str}
