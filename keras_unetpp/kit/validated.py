"""What `Spec`, `Recipe` and `Budget` have in common: frozen dataclasses of described fields, JSON both ways."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Self

from keras_unetpp.kit.errors import InputError, brief, hint
from keras_unetpp.kit.json_files import anything, mapping, parse_json

MOST_TEXT = 2**20
"""Characters of one as text."""


def described(default: Any, text: str, **more: Any) -> Any:
    """A field with a default and a help text, which docstring and command line show, and what else is said of it."""
    return dataclasses.field(default=default, metadata={"help": text, **more})


def with_field_help(cls: type) -> None:
    """Put the help text of each field of a dataclass, which the command line shows too, into its docstring."""
    lines = []
    for item in dataclasses.fields(cls):
        allowed = ", ".join(str(value).lower() for value in item.metadata.get("allowed") or ())
        lines.append(f"        {item.name}: {item.metadata['help']}{allowed and f': {allowed}'}.")
    cls.__doc__ = (cls.__doc__ or "").replace("        FIELDS", "\n".join(lines))


@dataclasses.dataclass(frozen=True)
class Validated:
    """Base of frozen dataclasses whose `__post_init__` raises `InputError`; values are plain, or tuples of such."""

    __slots__ = ()

    @classmethod
    def check_names(cls, names: Iterable[str]) -> None:
        """Raise `InputError` for a name that is no field."""
        known = cls._names()
        for name in names:
            if name not in known:
                fields = f"Fields: {', '.join(known)}."
                raise InputError(f"{cls.__name__} has no field {brief(name)}.{hint(name, known)} {fields}")

    @classmethod
    @cache
    def _names(cls) -> tuple[str, ...]:
        """Of the fields, and after them of what stands for several, such as `width` of `Spec`."""
        own = [item.name for item in dataclasses.fields(cls)]
        return (*own, *(name for name in cls.__dataclass_fields__ if name not in own))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        self.check_names(changes)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        own = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {name: _plain(value) for name, value in own.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; unknown names are errors, missing ones take their defaults."""
        cls.check_names(values)
        return cls(**values)

    def to_json(self) -> str:
        """All fields as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        what = f"A {cls.__name__}"
        if len(text) > MOST_TEXT:
            raise InputError(f"{what} is a text of at most {MOST_TEXT:,} characters. Received: {len(text):,}.")
        return cls.from_dict(parse_json(text, what, mapping(anything), "Take one as to_json() wrote it."))


def _plain(value: Any) -> Any:
    """A value as JSON has it: tuples, and those within them, as lists."""
    return list(map(_plain, value)) if isinstance(value, tuple) else value
