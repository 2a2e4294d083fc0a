"""No file outside `compat` uses what another package keeps to itself."""

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "keras_unetpp"
ROOMS = ROOT / PACKAGE / "compat"
FILES = [path for path in sorted((ROOT / PACKAGE).rglob("*.py")) if ROOMS not in path.parents]
OF_NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make", "_field_defaults"}
"""Python itself documents these."""

UNPROMISED = {
    "keras": ("keras.src",),
    "tensorflow": ("tensorflow.python", "tensorflow.lite", "tensorflow.core", "tensorflow.compiler"),
    "keras_tuner": ("keras_tuner.src",),
}
"""Parts of packages without an underscore that their makers do not promise either."""


def private(name):
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def imported(tree):
    """Private parts of other packages that are imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *rest = name.split(".")
            if package == PACKAGE or package in sys.stdlib_module_names:
                continue
            closed = any(f"{name}.".startswith(f"{one}.") for one in UNPROMISED.get(package, ()))
            if closed or any(map(private, rest)):
                yield name


def own_names(tree):
    """Private names that a file itself gives to things."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg


def is_self(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def used(tree):
    """Private names that are used of something, as attributes, in `getattr` and the like, or as arguments."""
    stdlib = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.split(".")[0] in sys.stdlib_module_names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in stdlib):
                yield node.attr
        elif isinstance(node, ast.Call):
            yield from (word.arg for word in node.keywords if word.arg and private(word.arg))
            if isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr", "hasattr", "delattr"):
                texts = (one.value for one in node.args[1:2] if isinstance(one, ast.Constant))
                yield from (text for text in texts if isinstance(text, str) and private(text))
        elif isinstance(node, ast.Dict):
            keys = (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
            yield from (key for key in keys if re.fullmatch(r"_[a-z]\w*[a-z]", key))


def foreign(tree):
    return sorted({*imported(tree), *({*used(tree)} - {*own_names(tree)} - OF_NAMED_TUPLES)})


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_private_names_of_others_stay_in_their_room(path):
    assert foreign(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import keras.src.utils",
        "from keras.src import utils",
        "from keras import src",
        "import tensorflow.python.framework.ops as ops",
        "from tensorflow.lite.python.convert import mlir_quantize",
        "from tensorflow.lite import python",
        "from keras_tuner.src.engine import trial",
        "from torch._utils import _rebuild",
        "from torch import _utils",
        "layer._moments = moments",
        "del layer._resize_images",
        "model._nodes_by_depth.values()",
        "self._get_oracle_fname()",
        "getattr(layer, '_moments')",
        "setattr(layer, '_moments', 1)",
        "hasattr(self, '_ordered_ids')",
        "TiffFile(file, _multifile=False)",
        "options = {'_multifile': False}",
    ],
)
def test_that_each_way_to_use_one_is_found(code):
    assert foreign(ast.parse(code)) != []


@pytest.mark.parametrize(
    "code",
    [
        "import os, _thread; os._exit(1)",
        "from keras_unetpp.spec import _own",
        "class A:\n    def __init__(self):\n        self._x = 1\n    def f(self, other):\n        return other._x",
        "row._replace(a=1); row._asdict(); row.__class__",
        "import keras; keras.layers.Layer; import tensorflow as tf; tf.lite.TFLiteConverter",
    ],
)
def test_that_others_are_not(code):
    assert foreign(ast.parse(code)) == []


def test_no_method_of_ours_hides_a_private_one_of_another_packages_class():
    hidden = []
    for path in FILES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__main__" or "worker" in parts[-1]:
            continue
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
        for name, own in inspect.getmembers(module, inspect.isclass):
            if own.__module__ != module.__name__:
                continue
            bases = [base for base in own.__mro__ if base.__module__.split(".")[0] not in (PACKAGE, "builtins")]
            bases = [base for base in bases if base.__module__.split(".")[0] not in sys.stdlib_module_names]
            hidden += [f"{name}.{one}" for one in vars(own) if private(one) for base in bases if one in vars(base)]
    assert [one for one in hidden if not one.rpartition(".")[2].startswith(("_abc_", "_tf_", "_self_"))] == []
