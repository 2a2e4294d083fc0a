"""Modules under their former names: `from keras_unetpp.errors import InputError` works as it always did.

Importing a package inside another sets an attribute there. For the two that had the name of a function that would hide
the function, `keras_unetpp.export`, so those are modules of their own that stand in `sys.modules` beforehand, and what
is asked of them comes from where it is now; so does what is asked of a package whose own names are in a module now. All
others are the very modules that are there now.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "keras_unetpp"
FUNCTIONS = ("export", "search")
"""Former names that are functions now."""

PACKAGES = ("artefacts",)
"""Former packages whose own names are in a module now, where no other can be."""

_DATA = ("advice", "augment", "coco", "contents", "convert", "drawing", "folders", "index", "labelme", "pairs",
         "shapes", "sharing", "splits", "summary", "survey")  # fmt: skip
NOW = {
    "export": "exporting",
    "search": "tuning",
    **{name: f"kit.{name}" for name in ("downloads", "errors", "json_files", "machine", "progress", "requirements")},
    "tables": "kit.tables",
    **{name: f"data.{name}" for name in ("data_folder", "images", "labels", "masks", "pixels")},
    **{f"training.{name}": f"data.{name}" for name in _DATA},
    "training.data": "data.crops",
    **{name: f"weights.{name}" for name in ("finite", "h5_files", "torch_files", "torch_pickle")},
    "networks": "prediction.networks",
    "inference": "prediction.predictor",
    "windows": "prediction.windows",
    "folders": "prediction.folder",
    "graph.templates": "graph.encoders.families",
    "graph.backbones": "graph.encoders.registry",
    "graph.encoder": "graph.encoders.encode",
    "graph.encoder_weights": "graph.encoders.pretrained",
    "graph.measure": "graph.encoders.measure",
    "graph.order": "graph.walk",
    "artefacts": "formats.artefact",
    **{f"artefacts.{name}": f"formats.{name}" for name in ("process", "runtime", "signature", "worker")},
    **{f"artefacts.{name}": f"formats.{name}.run" for name in ("onnx", "saved_model", "tflite")},
    "artefacts.operations": "formats.saved_model.operations",
    "saved_models": "formats.keras_file",
    "exporting.signature": "formats.functions",
    **{f"exporting.{name}": f"formats.{name}" for name in ("parts", "rebuild", "sensitive", "unsupported")},
    **{f"exporting.{name}": f"formats.{name}.write" for name in ("onnx", "saved_model", "tflite")},
    **{f"exporting.{name}": f"formats.saved_model.{name}" for name in ("decoding", "encoded", "serving")},
    "exporting.flatbuffer": "formats.tflite.flatbuffer",
    "exporting.onnx_quantize": "formats.onnx.quantize",
    "exporting.tflite_convert": "formats.tflite.convert",
    "exporting.tflite_metadata": "formats.tflite.metadata",
}
"""Former name -> name now, both within the package."""


def keep_former_names() -> None:
    """Let the former names and all modules within them be imported."""
    for name in FUNCTIONS:
        sys.modules.setdefault(f"{PACKAGE}.{name}", _OfFunction(f"{PACKAGE}.{name}", f"{PACKAGE}.{NOW[name]}"))
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # First of all: the path of a package that has moved would lead others to second copies of its modules.
        sys.meta_path.insert(0, _Finder())


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


class _OfFunction(_Former):
    """One whose name is a function now."""

    def __setattr__(self, name: str, value: Any) -> None:
        """What is imported within it can be had from the function too: `import keras_unetpp.export.place as place`."""
        super().__setattr__(name, value)
        if isinstance(value, ModuleType):
            setattr(getattr(self, self.__name__.rpartition(".")[2]), name, value)


class _Finder:
    """Finds a former name, or a module within one; it is the very module that is there now.

    The base classes of `importlib.abc` would add nothing to it but a slow import.
    """

    def find_spec(self, name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:  # fmt: skip
        package, _, within = name.partition(".")
        former, rest = within, ""
        while package == PACKAGE and former:
            if former in NOW:
                loader: Any = self
                return ModuleSpec(name, loader, loader_state=f"{PACKAGE}.{NOW[former]}{rest}")
            former, _, last = former.rpartition(".")
            rest = f".{last}{rest}"
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name in {f"{PACKAGE}.{name}" for name in PACKAGES}:
            former = _Former(spec.name, spec.loader_state)
            spec.loader_state = spec
            return former
        module = importlib.import_module(spec.loader_state)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state  # the import system has just given it the one of `find_spec`
