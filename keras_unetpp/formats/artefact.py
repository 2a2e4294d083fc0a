"""Exported files opened again, each in its own runtime: what was shipped, and nothing of what made it."""

import copy
import json
import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from keras_unetpp.files import check_text
from keras_unetpp.formats import FORMATS, is_artefact, named, of_path
from keras_unetpp.formats.runtime import LABELS, SHAPE, SIGNATURE, SPEC, Opened
from keras_unetpp.formats.signature import Signature, probabilities_of
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.json_files import check_regular
from keras_unetpp.kit.tables import mega
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.names import asked_level, head_name


def open_file(path: str | os.PathLike[str], format: str | None = None, threads: int | None = None,
              inside: bool = False, trusted: bool = False) -> Opened:  # fmt: skip
    """A file in its runtime, which runs in a process of its own.

    Args:
        path: the file or folder.
        format: a name of `FORMATS`; default by the path.
        threads: how many to run on; default all cores.
        inside: run TFLite and ONNX files in this process, for files just written.
        trusted: run a SavedModel even if it holds what `export` does not write.

    Raises:
        InputError: there is no such file, its runtime is not installed, or cannot open it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no exported file {path}.")
    if not path.is_dir():
        check_regular(path)
    if format is None and not is_artefact(path):
        *words, last = (row.words for row in FORMATS.values())
        raise InputError(
            f"An exported file is {', '.join(words)}, or {last}. Received: {path}. Open a .keras file, or a name of the"
            " zoo, with kup.load."
        )
    check_text(path, "an exported file")
    row = of_path(path) if format is None else named(format)
    opened: Opened = row.runner.open(path, threads, inside, trusted)
    return opened


class Artefact:
    """An exported file, opened in its own runtime: TensorFlow without Keras, LiteRT or ONNX Runtime.

    `segment`, `levels`, `evaluate` and `predict_folder` take it as they take a model.

    Args:
        path: `NAME.tflite`, `NAME.onnx`, or the folder of a SavedModel, NAME/VERSION.
        threads: how many to run on; default all cores.
        trusted: run a SavedModel even if it holds what `export` does not write: a program that may write files.

    Attributes:
        path: of the file.
        format: a name of `FORMATS`: "saved_model", "tflite", "onnx".
        bytes: its size.
        signature: what it takes and gives.
        spec: of its network, if it tells.
        labels: names of its classes, if it tells.
        names: of the levels that this object runs.

    Raises:
        InputError: there is no such file, it was not made by `export`, or its runtime is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int | None = None,
                 trusted: bool = False) -> None:  # fmt: skip
        self.path = Path(path)
        functions, texts = open_file(path, threads=threads, trusted=trusted)
        if SIGNATURE not in texts:
            raise InputError(f"{path} does not tell what it takes and gives. Export it with kup.export.")
        self.format = of_path(self.path).name
        self.bytes = size_of(self.path)
        self.signature = Signature.from_json(texts[SIGNATURE])
        self._check(functions, texts.get(SHAPE))
        try:
            self.spec = Spec.from_json(texts[SPEC]) if SPEC in texts else None
        except InputError as error:
            raise InputError(f"{path} holds no Spec of a network: {error}") from error
        self.labels = tuple(texts.get(LABELS, "").splitlines())
        self.names = self.signature.names
        self._functions = functions

    def _check(self, functions: Collection[str], shape: str | None) -> None:
        """Raise `InputError` unless the file has what its signature tells."""
        own = self.signature
        if missing := [name for name in own.names if name not in functions]:
            raise InputError(f"{self.path} should have {', '.join(missing)}, by its signature. Export it again.")
        wanted, taken = (*own.sides, own.channels), None if shape is None else tuple(json.loads(shape))
        if taken is not None and taken != wanted:
            raise InputError(f"{self.path} takes images of {taken}, by its signature of {wanted}. Export it again.")

    def at(self, level: int | str | None = None) -> "Artefact":
        """The same file for one of its levels: 1..d or "mean"; None, the deepest that it has.

        Raises:
            InputError: the file has no such level.
        """
        alone = len(self.names) == 1
        name = (self.names[0] if alone else self.signature.default) if level is None else level
        name = head_name(name) if type(name) is int else name
        if name not in self.names:
            known = ", ".join(str(asked_level(name)) for name in self.names)
            raise InputError(f"{self.path} has level {known}. Received: {level!r}. Export that level too.")
        one = copy.copy(self)
        one.names = (str(name),)
        return one

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Probabilities of each level, (batch, *sides, classes) float32, for a batch of pixel values 0..255.

        Of a file of masks they are 0 and 1.
        """
        return {name: probabilities_of(self._functions[name](images), self.signature) for name in self.names}

    @property
    def seconds(self) -> float | None:
        """How long the last call of the file's functions took, without the way to its process and back."""
        times = [getattr(self._functions[name], "seconds", None) for name in self.names]
        known = [time for time in times if time is not None]
        return sum(known) if len(known) == len(times) else None

    def __str__(self) -> str:
        own = self.signature
        sides = " x ".join(str(side or "any") for side in own.sides)
        return f"{self.path}: {self.format}, {mega(self.bytes)}, {own.input} {sides} in, {own.output} out"


def size_of(path: str | os.PathLike[str]) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = [Path(path), *Path(path).rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())
