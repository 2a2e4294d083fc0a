"""Search under a budget that no trial breaks; each trial scores all its levels. `keras_unetpp.search` is callable."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from keras_unetpp.search.budget import Budget
from keras_unetpp.search.result import Candidate, SearchResult, collect
from keras_unetpp.search.run import search
from keras_unetpp.search.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Budget", "Candidate", "SearchResult", "Space", "collect", "search"]


class _Callable(ModuleType):
    """Makes `keras_unetpp.search` callable also where it names this package, which importing a part of it brings."""

    __call__: "Callable[..., Any]" = staticmethod(search)


sys.modules[__name__].__class__ = _Callable
