"""Tables of a network's design choices: a Spec names one row of each.

Whatever takes choices, help or checks from a table takes them as the table is then, so that a row that is added counts
from that moment on.
"""

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

BOTH = (2, 3)
"""Images and volumes: the ranks of most rows."""

Row = TypeVar("Row")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_caches: list[Any] = []


def remembered(maxsize: int | None) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """As `functools.lru_cache`, for what depends on tables: it is forgotten when one changes."""

    def wrap(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        cached: Any = lru_cache(maxsize)(function)
        _caches.append(cached)
        return cached  # type: ignore[no-any-return]

    return wrap


class Choices(dict[str, Row]):
    """Rows by name, in the order in which they are shown. To add or remove one, assign or delete it."""


def _forgetting(change: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(change)
    def changed(*args: Any, **kwargs: Any) -> Any:
        found = change(*args, **kwargs)
        for cached in _caches:
            cached.cache_clear()
        return found

    return changed


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(Choices, _name, _forgetting(getattr(dict, _name)))


class OrNone(Collection[str | None]):
    """The names of a table, and None."""

    def __init__(self, table: Choices[Any]) -> None:
        self.table = table

    def __contains__(self, value: object) -> bool:
        return value is None or value in self.table

    def __iter__(self) -> Iterator[str | None]:
        return iter((None, *self.table))

    def __len__(self) -> int:
        return len(self.table) + 1
