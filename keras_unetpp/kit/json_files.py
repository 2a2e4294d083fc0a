"""JSON that somebody wrote: one reader, which refuses in one line what is broken, hidden, endless or of another shape.

A shape is a function from a value to what is wrong with it, "" if nothing: `fields({"depth": whole(1, 6)})`.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from keras_unetpp.kit.errors import InputError, brief

MOST_BYTES = 2**27
"""Of a file that is read whole; the record of a million images has fewer."""

DEEPEST = 32
"""Lists and objects within each other."""

LARGEST = 2**63 - 1
"""Whole numbers beyond are no counts of anything."""

Shape = Callable[[Any], str]


class _Fault(ValueError):
    """What JSON allows, or Python's reader does, and no file of ours holds."""


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise `InputError` for a folder, pipe or device; a pipe would be waited for without end."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{os.fspath(path)} must be a file. Received: a folder, pipe or device.")


def read_bytes(path: str | os.PathLike[str], most: int = MOST_BYTES) -> bytes:
    """What a regular file holds, if it is not longer than it may be.

    Raises:
        InputError: it is longer, or no regular file, which might never end.
        OSError: it cannot be read.
    """
    check_regular(path)
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path} must have at most {most:,} bytes. Received: more.")
    return data


def read_json(path: str | os.PathLike[str], shape: Shape, way_out: str, *, most: int = MOST_BYTES,
              strict: bool = True) -> Any:  # fmt: skip
    """What a JSON file holds.

    Args:
        path: the file.
        shape: that its value must have.
        way_out: what to do if it has not, a sentence.
        most: bytes that it may have.
        strict: it is a file of ours, see `parse_json`.

    Raises:
        InputError: naming the file, what is wrong, and the way out.
        OSError: it cannot be read.
    """
    return parse_json(read_bytes(path, most), path, shape, way_out, strict=strict)


def parse_json(text: str | bytes, what: object, shape: Shape, way_out: str, *, strict: bool = True) -> Any:
    """The value that a JSON text means.

    Args:
        text: in UTF-8 if bytes, with or without its mark.
        what: what an error calls the text.
        shape: that the value must have.
        way_out: what to do if it has not, a sentence.
        strict: refuse names that come twice in one object, and numbers that are not finite or beyond 64 bits.

    Raises:
        InputError: naming `what`, what is wrong, and the way out.
    """
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        value = json.loads(plain, **(_STRICT if strict else {}))
        _check_depth(value)
    except UnicodeDecodeError as error:
        raise InputError(f"{what} must be text in UTF-8; byte {error.start} is not. {way_out}") from error
    except RecursionError as error:
        raise InputError(f"{what} is nested deeper than {DEEPEST} levels. {way_out}") from error
    except _Fault as error:
        raise InputError(f"{what} {error}. {way_out}") from error
    except ValueError as error:
        raise InputError(f"{what} is no JSON, or cut off: {str(error)[:120]}. {way_out}") from error
    check(value, what, shape, way_out)
    return value


def check(value: Any, what: object, shape: Shape, way_out: str) -> None:
    """Raise `InputError`, naming `what` and the way out, unless a value has a shape."""
    if wrong := shape(value):
        raise InputError(f"{what} must hold other values: {wrong}. {way_out}")


@contextmanager
def about(what: object, way_out: str) -> Iterator[None]:
    """Let an `InputError` about a value name the file that the value is from."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what} holds what cannot be: {error} {way_out}") from error


def anything(value: Any) -> str:
    """The shape of any value."""
    return ""


def whole(low: int = -LARGEST, high: int = LARGEST) -> Shape:
    """A whole number within bounds."""
    wanted = f"a whole number from {low} to {high}"
    return lambda value: "" if type(value) is int and low <= value <= high else _not(wanted, value)


def number(low: float = -math.inf, high: float = math.inf) -> Shape:
    """A finite number within bounds."""
    span = f" from {low:g} to {high:g}" if (low, high) != (-math.inf, math.inf) else ""

    def check(value: Any) -> str:
        fits = type(value) in (int, float) and math.isfinite(value) and low <= value <= high
        return "" if fits else _not(f"a finite number{span}", value)

    return check


def text(most: int = 2**16) -> Shape:
    """A text of so many characters."""
    return lambda value: "" if isinstance(value, str) and len(value) <= most else _not(f"a text up to {most}", value)


def maybe(shape: Shape) -> Shape:
    """A value of a shape, or null."""
    return lambda value: "" if value is None else shape(value)


def each(shape: Shape) -> Shape:
    """A list of values of one shape."""

    def check(value: Any) -> str:
        if not isinstance(value, list):
            return _not("a list", value)
        return next((f"[{at}] {wrong}" for at, one in enumerate(value) if (wrong := shape(one))), "")

    return check


def pair(first: Shape, second: Shape) -> Shape:
    """A list of two."""

    def check(value: Any) -> str:
        if not isinstance(value, list) or len(value) != 2:
            return _not("a list of two", value)
        return first(value[0]) or second(value[1])

    return check


def mapping(shape: Shape) -> Shape:
    """An object of any names, whose values have one shape."""

    def check(value: Any) -> str:
        if not isinstance(value, dict):
            return _not("an object", value)
        return next((f"{brief(name)}: {wrong}" for name, one in value.items() if (wrong := shape(one))), "")

    return check


def fields(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object with these names; what a later version adds besides is left alone."""

    def check(value: Any) -> str:
        if not isinstance(value, dict):
            return _not("an object", value)
        if missing := [name for name in required if name not in value]:
            return f"{', '.join(missing)} missing"
        shapes = {**required, **(optional or {})}
        own = ((name, shapes[name](one)) for name, one in value.items() if name in shapes)
        return next((f"{name}: {wrong}" for name, wrong in own if wrong), "")

    return check


def _not(wanted: str, value: Any) -> str:
    return f"{wanted} is required, received {brief(value)}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _Fault(f"has {brief(twice)} twice in one object")
    return made


def _constant(word: str) -> Any:
    raise _Fault(f"holds {word}, which is no number")


def _int(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > LARGEST:
        raise _Fault(f"holds a whole number beyond 64 bits, {digits[:24]}{'..' * (len(digits) > 24)}")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Fault(f"holds {digits[:24]}, which is beyond all numbers")
    return value


_STRICT: dict[str, Any] = {
    "object_pairs_hook": _once,
    "parse_constant": _constant,
    "parse_int": _int,
    "parse_float": _float,
}


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [one for own in inner for one in own]
        if not level:
            return
    raise RecursionError
