"""TFLite files in LiteRT."""

import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from keras_unetpp.artefacts.runtime import Functions, Opened, as_dtype, first_line
from keras_unetpp.errors import InputError
from keras_unetpp.requirements import require

FILES = {"signature": "signature.json", "spec": "spec.json", "labels": "labels.txt"}
"""Text that a file holds about itself -> its name in the archive behind the model."""


def open(path: str | os.PathLike[str], threads: int | None = None) -> Opened:
    """A file with its functions by name.

    Each takes (batch, *sides, channels) pixel values 0..255, image after image, and gives (batch, ..): probabilities
    or logits as float32, whatever the file holds, or masks as they are.

    Args:
        path: the file.
        threads: how many to run on; default all cores.

    Raises:
        InputError: LiteRT is not installed, or the file is none of its files.
    """
    require("mobile", "ai_edge_litert")
    try:
        return Opened(functions(threads, model_path=os.fspath(path)), _texts(Path(path)))
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path} is no readable .tflite file: {first_line(error)}") from error


def functions(threads: int | None = None, **source: Any) -> Functions:
    """The functions of a file at `model_path`, or of one whose bytes are `model_content`."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(num_threads=threads or os.cpu_count(), **source)
    return {name: _runner(interpreter, name) for name in interpreter.get_signature_list()}


def _texts(path: Path) -> dict[str, str]:
    texts = {}
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        texts = {key: archive.read(name).decode() for key, name in FILES.items() if name in names}
    return texts


def _runner(interpreter: Any, name: str) -> Callable[[np.ndarray], np.ndarray]:
    call = interpreter.get_signature_runner(name)
    ((image, source),) = call.get_input_details().items()
    ((result, target),) = call.get_output_details().items()

    def one(pixels: np.ndarray) -> np.ndarray:
        scale, zero = target["quantization"]
        try:
            value = call(**{image: as_dtype(pixels[None], source["dtype"])})[result]
        except (ValueError, RuntimeError) as error:
            raise InputError(f"LiteRT cannot run {name} of the file: {first_line(error)}") from error
        return (value.astype(np.float32) - zero) * np.float32(scale) if scale else value

    def every(images: np.ndarray) -> np.ndarray:
        return np.concatenate([one(pixels) for pixels in images])

    return every
