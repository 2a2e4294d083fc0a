"""The house rules: imports run one way, heavy things come late, files and functions stay small, names are explained."""

import ast
import configparser
import doctest
import importlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "keras_unetpp"
ORDER = (
    *("kit", "files", "compat", "spec", "data", "recipe", "weights", "interop", "graph", "formats"),
    *("plotting", "prediction", "training", "pruning", "exporting", "zoo", "tuning", "cli", "__main__", "__init__"),
)
"""The parts of the package from the bottom up; a part imports only those before it."""

MODULE_OF = {"pillow": "PIL"}
LATE = {"tensorflow", "tensorflow-cpu"}
"""Required, but imported only inside functions: the other back ends do without."""

FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
TOOLS = sorted((ROOT / "tools").rglob("*.py"))


def name_of(path):
    """Dotted name of a module inside the package, such as `spec.cost`; the package itself is `__init__`."""
    return ".".join(path.relative_to(ROOT / PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def short(path):
    return str(path.relative_to(ROOT))


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree, everywhere=True):
    """Absolute names of what a module imports, `a.b` for `from a import b`; `everywhere`: within functions too."""
    found = []
    for node in ast.walk(tree) if everywhere else at_module_level(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def at_module_level(tree):
    """Every node that runs when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from at_module_level(node)


MODULES = {name_of(path) for path in FILES}


def module_named(name):
    """The module of the package that an imported name is or lies in; None outside, or for `__version__`."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return None
    inside = [".".join(parts[1:end]) for end in range(len(parts), 1, -1)]
    return next((one for one in inside if one in MODULES), None)


def within(path):
    return {module for name in imports(tree_of(path)) if (module := module_named(name))}


@pytest.mark.parametrize("path", FILES, ids=short)
def test_imports_run_one_way(path):
    own = name_of(path).split(".")[0]
    assert own in ORDER, f"give {own} its place in ORDER"
    parts = {module.split(".")[0] for module in within(path)} - {own}
    upward = [part for part in parts if ORDER.index(part) > ORDER.index(own)]
    assert upward == []


@pytest.mark.parametrize("path", FILES, ids=short)
def test_imports_name_modules_where_they_are(path):
    own = [name for name in imports(tree_of(path)) if name.split(".")[0] == PACKAGE]
    assert [name for name in own if module_named(name) is None and name != f"{PACKAGE}.__version__"] == []


def test_no_module_imports_itself_in_a_circle():
    edges = {name_of(path): within(path) for path in FILES if name_of(path) != "__init__"}
    while edges:
        free = {name for name, read in edges.items() if not read & edges.keys() - {name}}
        assert free, f"in a circle, or above one: {sorted(edges)}"
        edges = {name: read for name, read in edges.items() if name not in free}


def requirements():
    """Top-level modules of what `setup.cfg` installs."""
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    names = {line.split(">=")[0].strip() for line in options["options"]["install_requires"].split("\n") if line}
    return {MODULE_OF.get(name, name) for name in names - LATE}


@pytest.mark.parametrize("path", FILES, ids=short)
def test_only_required_packages_are_imported_early(path):
    early = {name.split(".")[0] for name in imports(tree_of(path), everywhere=False)}
    assert early - {PACKAGE, *requirements(), *sys.stdlib_module_names} == set()


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path).startswith("spec")], ids=short)
def test_spec_needs_the_standard_library_only(path):
    names = {name.split(".")[0] for name in imports(tree_of(path))}
    assert names - {PACKAGE, *sys.stdlib_module_names} == set()
    assert {module.split(".")[0] for module in within(path)} <= {"kit", "spec"}


@pytest.mark.parametrize("module", ["keras_unetpp.spec", "keras_unetpp.cli", "keras_unetpp"])
def test_light_imports(module):
    heavy = ["tensorflow", "keras", "numpy", "PIL", "torch", "jax"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_what_is_public_is_listed_once_and_shipped():
    listed = imports(tree_of(ROOT / PACKAGE / "__init__.pyi"))
    package = importlib.import_module(PACKAGE)
    assert package.__all__ == [name.rpartition(".")[2] for name in listed]
    assert {"InputError", "InputWarning", "losses", "zoo"} <= {*package.__all__} <= {*dir(package)}
    for home, _, name in (full.rpartition(".") for full in listed):
        assert getattr(package, name) is getattr(importlib.import_module(home), name)
    with pytest.raises(AttributeError, match="module 'keras_unetpp' has no attribute 'nothing'"):
        package.nothing  # noqa: B018
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    assert "__init__.pyi" in options["options.package_data"][PACKAGE].split(", ")


def public(tree):
    return [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    ]


@pytest.mark.parametrize("path", FILES, ids=short)
def test_public_names_are_explained(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    assert [node.name for node in public(tree) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", [*FILES, *TOOLS], ids=short)
def test_files_and_functions_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno + 1 > 70] == []


@pytest.mark.parametrize("path", FILES, ids=short)
def test_no_assert_in_the_package(path):
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree_of(path)))


@pytest.mark.parametrize("path", [path for path in FILES if ">>> " in path.read_text(encoding="utf-8")], ids=short)
def test_examples_run(path):
    spec = importlib.import_module(f"{PACKAGE}.spec")
    names = {"np": np, **{name: getattr(spec, name) for name in spec.__all__}}
    module = importlib.import_module(f"{PACKAGE}.{name_of(path)}")
    result = doctest.testmod(module, extraglobs=names)
    assert result.attempted > 0
    assert result.failed == 0


REMOVES = {"rmtree", "unlink", "remove", "removedirs", "rename", "renames", "replace", "rmdir", "move"}
"""What takes a file or folder of the user's away."""

OF_MODULES = {"os", "shutil", "pathlib", "posix"}


def removals(tree):
    """Calls that delete, rename or replace files; `str.replace` has two arguments, `dataclasses.replace` fields."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in OF_MODULES:
            found += [f"{node.module}.{alias.name}" for alias in node.names if alias.name in REMOVES]
        if not isinstance(node, ast.Attribute) or node.attr not in REMOVES:
            continue
        of_module = isinstance(node.value, ast.Name) and node.value.id in OF_MODULES
        if of_module or node.attr in ("rmtree", "unlink", "rmdir", "rename"):
            found.append(node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
            path_method = len(node.args) == 1 and not isinstance(node.args[0], ast.Starred) and not node.keywords
            found += ["replace"] if path_method else []
    return found


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path) != "files.writing"], ids=short)
def test_one_module_replaces_and_deletes(path):
    assert removals(tree_of(path)) == []


def test_that_removals_are_found():
    code = "os.replace(a, b); a.replace(b); shutil.rmtree(a); f.unlink(missing_ok=True); a.rename(b); os.remove(a)"
    assert len(removals(ast.parse(code))) == 6
    assert removals(ast.parse("from os import unlink, path")) == ["os.unlink"]
    assert removals(ast.parse("a.replace('x', 'y'); replace(spec, a=1); spec.replace(depth=2); rows.remove(a)")) == []
    writing = next(path for path in FILES if name_of(path) == "files.writing")
    assert set(removals(tree_of(writing))) >= {"replace", "rename", "rmtree", "unlink"}


@pytest.mark.parametrize("kind", [DeprecationWarning, PendingDeprecationWarning])
def test_what_the_package_calls_must_not_be_deprecated(kind):
    code = f"import warnings; warnings.warn('on its way out', {kind.__name__})"
    with pytest.raises(kind, match="on its way out"):
        exec(code, {"__name__": f"{PACKAGE}.graph.build"})
    exec(code, {"__name__": "keras.src.layers"})
