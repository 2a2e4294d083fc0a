"""The formats that a network is exported to: a row of `FORMATS` and a folder each, which writes and runs its files.

To add one is to write a row and a package of two modules:

`write`  `write(model, path, signature, *, ..)` writes a file; what follows the star are options of `export`. Where a
         mode of the row is of 8 bits, `quantize` and `calibration` are among them, and it gives `Again`.
`run`    `open(path, threads, inside, trusted) -> runtime.Opened` runs one: in a process of its own by `process.open`,
         which calls `opened(path, threads, trusted)` there, or inside this one.

Where the row has several modes, `write` has `mode(path)` too, that of a file; where `write` takes `calibration`, `run`
has `of_bytes(data)`, what `opened` gives, of the bytes of a file just written.
"""

import importlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from keras_unetpp.formats.saved_model import GRAPH_FILE, PARTS
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.requirements import require

Again: TypeAlias = Callable[[], None] | None
"""What a writer gives that can write its file again, with more in float."""


class Mode(NamedTuple):
    """A mode of quantisation.

    Attributes:
        name: value of the option `quantize`.
        tolerance: largest difference of probabilities from the Keras model; without one, the masks are compared.
        calibrated: ranges of values have to be known, from images.
    """

    name: str | None = None
    tolerance: float = math.inf
    calibrated: bool = False


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Attributes:
        name: value of the option `format`.
        title: its name in texts.
        suffix: of a path, in small letters; empty for the one format of which folders without a suffix are.
        words: what is exported, for texts.
        broken: start of an error where a file cannot be run.
        extra: what to install for its packages; see `setup.cfg`.
        runs_with: top-level modules of these that running a file takes.
        writes_with: those that writing one takes.
        modes: of quantisation, mildest first.
        parts: patterns of what its folder consists of; a file has none.
        mark: the file that makes a folder one of this format.
        served: TensorFlow Serving serves it, so that `server_config` is an option.
        package: of its `write` and `run`; default the one named as it is, here.
    """

    name: str
    title: str
    suffix: str
    words: str
    broken: str
    extra: str = ""
    runs_with: tuple[str, ...] = ()
    writes_with: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = (Mode(tolerance=1e-4),)
    parts: tuple[str, ...] = ()
    mark: str = ""
    served: bool = False
    package: str = ""

    @property
    def runner(self) -> ModuleType:
        """The module that runs its files."""
        return importlib.import_module(f"{self._package}.run")

    @property
    def writer(self) -> ModuleType:
        """The module that writes them."""
        return importlib.import_module(f"{self._package}.write")

    @property
    def _package(self) -> str:
        return self.package or f"{__name__}.{self.name}"

    def check_runs(self) -> None:
        """Raise `InputError` unless the packages are there that its files run with."""
        require(self.extra, *self.runs_with)

    def check_writes(self) -> None:
        """Raise `InputError` unless the packages are there that write its files."""
        require(self.extra, *self.writes_with)

    def mode(self, name: Any) -> Mode:
        """The mode of that name.

        Raises:
            InputError: there is none.
        """
        for mode in self.modes:
            if mode.name == name:
                return mode
        names = [mode.name for mode in self.modes]
        several = f"one of {', '.join(map(str, names))}"
        known = several if len(names) > 2 else f"{' or '.join(map(repr, names))} in {self.title}"
        raise InputError(f"quantize must be {known}. Received: {name!r}.")

    def check_calibrated(self, mode: Any, images: Sequence[Any]) -> None:
        """Raise `InputError` if a mode of that name needs images to calibrate on, and there are none."""
        if self.mode(mode).calibrated and not images:
            milder = [one.name for one in self.modes if not one.calibrated][-1]
            raise InputError(
                f"quantize={mode!r} needs calibration=, some ten to hundred images like those to come. Received: none."
                f" quantize={milder!r} needs none."
            )

    def tolerance_of(self, path: str | os.PathLike[str]) -> float:
        """The largest difference of probabilities that is allowed of a file, by the file's own mode."""
        own = self.mode(self.writer.mode(path)) if len(self.modes) > 1 else self.modes[0]
        return own.tolerance


FORMATS = {row.name: row for row in (
    Format("tflite", "TFLite", ".tflite", "a .tflite", "LiteRT cannot run the file", "mobile", ("ai_edge_litert",),
           ("tensorflow",), modes=(Mode(None, 1e-4), Mode("float16", 1e-2), Mode("dynamic"),
                                   Mode("int8_float_io", calibrated=True), Mode("int8", calibrated=True))),
    Format("onnx", "ONNX", ".onnx", "a .onnx", "ONNX Runtime cannot run the file", "onnx", ("onnxruntime",),
           ("tf2onnx", "onnx", "onnxruntime"), modes=(Mode(None, 1e-4), Mode("int8", calibrated=True))),
    Format("saved_model", "SavedModel", "", f"a folder that holds {GRAPH_FILE}, NAME/VERSION",
           "TensorFlow without Keras cannot run the SavedModel", parts=PARTS, mark=GRAPH_FILE, served=True),
)}  # fmt: skip
"""Name -> format."""


def named(name: Any) -> Format:
    """The format of that name.

    Raises:
        InputError: there is none.
    """
    if name not in list(FORMATS):
        raise InputError(f"format must be one of {', '.join(map(repr, FORMATS))}. Received: {name!r}.")
    return FORMATS[name]


def of_path(path: str | os.PathLike[str]) -> Format:
    """The format that a path means: by its suffix, else that of folders."""
    rows = {row.suffix: row for row in FORMATS.values()}
    return rows.get(Path(path).suffix.lower(), rows[""])


def is_artefact(path: object) -> bool:
    """Whether a path names an exported file: by its suffix, or since it is a folder that holds what marks one."""
    if not isinstance(path, (str, os.PathLike)):
        return False
    row = of_path(path)
    return bool(row.suffix) or (Path(path) / row.mark).is_file()
