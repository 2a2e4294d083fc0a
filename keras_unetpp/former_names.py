"""Packages that once had the name of a function, found under it still: `from keras_unetpp.export import export` works.

Importing a package inside another sets an attribute there, which would hide the function `keras_unetpp.export`. So the
former names are modules that stand in `sys.modules` beforehand, and what is asked of them comes from where it is now.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "keras_unetpp"
NOW = {"export": "exporting", "search": "tuning"}
"""Former name -> the package's name now."""


def keep_former_names() -> None:
    """Let the former names and all modules within them be imported."""
    for name, now in NOW.items():
        sys.modules.setdefault(f"{PACKAGE}.{name}", _Former(f"{PACKAGE}.{name}", f"{PACKAGE}.{now}"))
    if not any(isinstance(finder, _Within) for finder in sys.meta_path):
        sys.meta_path.append(_Within())


class _Former(ModuleType):
    """A package under its former name; it is imported when something of it is asked for."""

    def __init__(self, name: str, now: str) -> None:
        super().__init__(name, f"The former name of `{now}`.")
        self.__path__: list[str] = []
        self.now = now

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(self.now), name)


class _Within(MetaPathFinder, Loader):
    """Finds a module within a former name; it is the very module that is there now."""

    def find_spec(self, name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:  # fmt: skip
        package, _, within = name.partition(".")
        former, _, rest = within.partition(".")
        if package != PACKAGE or former not in NOW or not rest:
            return None
        return ModuleSpec(name, self, loader_state=f"{PACKAGE}.{NOW[former]}.{rest}")

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(spec.loader_state)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state  # the import system has just given it the one of `find_spec`
