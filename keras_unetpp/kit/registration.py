"""Makes Keras know the classes that saved models name, in whatever order Keras and this package are imported."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from keras_unetpp.kit.imports import around_import

HOMES = ("keras_unetpp.graph", "keras_unetpp.training")
"""Packages that register their classes on being imported.

What they import for that must not be in need of modules that import Keras before they are complete: Keras may be
imported in the middle of any module, and these packages at once after it.
"""


def register() -> None:
    """Make Keras know the classes: now, if it is there, else as soon as it is."""
    if "keras" in sys.modules:
        _import_homes()
    else:
        around_import("keras", _registering)


@contextmanager
def _registering() -> Iterator[None]:
    yield
    _import_homes()


def _import_homes() -> None:
    with suppress(ImportError):  # a Keras that this package cannot use is still its user's to import
        for home in HOMES:
            importlib.import_module(home)
