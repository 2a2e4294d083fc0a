"""Makes Keras know the classes that saved models name, in whatever order Keras and this package are imported."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

HOMES = ("keras_unetpp.graph", "keras_unetpp.training")
"""Packages that register their classes on being imported.

What they import for that must not be in need of modules that import Keras before they are complete: Keras may be
imported in the middle of any module, and these packages at once after it.
"""


def register() -> None:
    """Make Keras know the classes: now, if it is there, else as soon as it is."""
    if "keras" in sys.modules:
        _import_homes()
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def _import_homes() -> None:
    with suppress(ImportError):  # a Keras that this package cannot use is still its user's to import
        for home in HOMES:
            importlib.import_module(home)


class _KerasFinder(MetaPathFinder):
    """Finds Keras where it is, with a loader that registers the classes after it."""

    def find_spec(self, name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:  # fmt: skip
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Keras' own loader, once."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self.own.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.own
        self.own.exec_module(module)
        _import_homes()
