"""UNet++ for Keras: build one from a Spec, train it once, cut out the level that fits, ship it.

What is public is listed in `__init__.pyi`, which type checkers read; this module imports each name of the list on first
use, so that `import keras_unetpp.spec` needs no TensorFlow.
"""

import importlib
import re
from functools import cache
from typing import Any

from keras_unetpp.kit.former_names import keep_former_names
from keras_unetpp.kit.registration import register

__version__ = "0.2.0.dev0"


@cache
def _homes() -> dict[str, str]:
    """The public names, and the module that each is imported from."""
    listed = __loader__.get_data(f"{__path__[0]}/__init__.pyi").decode()
    return {name: home for home, name in re.findall(r"^from (\S+) import (\w+) as \2$", listed, re.MULTILINE)}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; `__all__` is the list of them."""
    if name == "__all__":
        return list(_homes())
    if name not in _homes():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _homes()[name]
    value = vars(importlib.import_module(home)).get(name) or importlib.import_module(f"{home}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *_homes()})


keep_former_names()
register()
