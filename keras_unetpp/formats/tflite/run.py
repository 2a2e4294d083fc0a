"""TFLite files in LiteRT."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from keras_unetpp.formats import FORMATS, process
from keras_unetpp.formats.runtime import SHAPE, Opened, as_dtype, as_text, first_line, wordless
from keras_unetpp.kit.errors import InputError

FILES = {"signature": "signature.json", "spec": "spec.json", "labels": "labels.txt"}
"""Text that a file holds about itself -> its name in the archive behind the model."""


def open(path: str | os.PathLike[str], threads: int | None = None, inside: bool = False,
         trusted: bool = False) -> Opened:  # fmt: skip
    """A file with its functions by name.

    Each takes (batch, *sides, channels) pixel values 0..255, image after image, and gives (batch, ..): probabilities
    or logits as float32, whatever the file holds, or masks as they are.

    Args:
        path: the file.
        threads: how many to run on; default all cores.
        inside: run it in this process, for files just written: one that is damaged can end the process it runs in.
        trusted: of no effect.

    Raises:
        InputError: LiteRT is not installed, or the file is none of its files.
    """
    FORMATS["tflite"].check_runs()
    return opened(path, threads) if inside else process.open("tflite", path, threads)


def opened(path: str | os.PathLike[str], threads: int | None = None, trusted: bool = False) -> Opened:
    """What `open` gives, in this process."""
    own = _functions(f"{path} is no readable .tflite file", threads, model_path=os.fspath(path))
    shapes = {one.shape for one in own.values()}
    return Opened(own, _texts(Path(path)) | ({SHAPE: json.dumps(shapes.pop())} if len(shapes) == 1 else {}))


def of_bytes(data: bytes) -> Opened:
    """The functions of a file's bytes, in this process."""
    return Opened({**_functions(FORMATS["tflite"].broken, None, model_content=data)}, {})


def _functions(fault: str, threads: int | None, **source: Any) -> "dict[str, _Function]":
    """The functions of a file at `model_path`, or of the bytes `model_content`; an error starts with `fault`."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        with wordless():  # it tells each time what it runs on
            interpreter = Interpreter(num_threads=threads or os.cpu_count(), **source)
            interpreter.allocate_tensors()
        return {name: _Function(interpreter, name) for name in interpreter.get_signature_list()}
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{fault}: {first_line(error)}") from error


def _texts(path: Path) -> dict[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return {key: as_text(cast(BinaryIO, archive.open(name)), f"{name} in {path}")
                    for key, name in FILES.items() if name in names}  # fmt: skip
    except zipfile.BadZipFile:
        return {}
    except InputError:
        raise
    except Exception as error:  # encrypted, of an unknown compression, cut off, ..
        raise InputError(f"The texts in {path} cannot be read: {first_line(error)}. Export it again.") from error


class _Function:
    """One function of a file."""

    def __init__(self, interpreter: Any, name: str) -> None:
        self._name, self._call = name, interpreter.get_signature_runner(name)
        inputs, outputs = self._call.get_input_details(), self._call.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(f"{name} must have one input and one output, has {len(inputs)} and {len(outputs)}")
        ((self._image, self._source),) = inputs.items()
        ((self._result, self._target),) = outputs.items()
        self.shape = tuple(int(side) for side in self._source["shape"][1:])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate([self._one(pixels) for pixels in images])

    def _one(self, pixels: np.ndarray) -> np.ndarray:
        scale, zero = self._target["quantization"]
        try:
            value = self._call(**{self._image: as_dtype(pixels[None], self._source["dtype"])})[self._result]
        except (ValueError, RuntimeError) as error:
            raise InputError(f"LiteRT cannot run {self._name} of the file: {first_line(error)}") from error
        return (value.astype(np.float32) - zero) * np.float32(scale) if scale else value
