"""SavedModel folders in TensorFlow, in another process where importing Keras fails, as on a server."""

import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from keras_unetpp.artefacts import worker
from keras_unetpp.artefacts.runtime import Opened
from keras_unetpp.errors import InputError

SPEC_FILE, LABELS_FILE, SIGNATURE_FILE = "spec.json", "labels.txt", "signature.json"
_FILES = {"signature": SIGNATURE_FILE, "spec": SPEC_FILE, "labels": LABELS_FILE}


def open(path: str | os.PathLike[str], threads: int | None = None) -> Opened:
    """A folder with its signatures by name.

    Each takes a batch of images, for a signature of encoded ones rounded to 8 bits, and gives what the signature
    gives: probabilities where there are several outputs. The process ends when the last of them is forgotten.

    Args:
        path: the folder.
        threads: how many an operation may run on; default all cores.

    Raises:
        InputError: TensorFlow cannot open or run it.
    """
    process = _Process(path, threads)
    files = {key: Path(path) / "assets" / name for key, name in _FILES.items()}
    texts = {key: file.read_text(encoding="utf-8") for key, file in files.items() if file.is_file()}
    return Opened({name: process.runner(name) for name in process.names}, texts)


class _Process:
    """The other process and the talk with it."""

    def __init__(self, path: str | os.PathLike[str], threads: int | None) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        # -P: the folder of the script, with its onnx.py, is no place to import from.
        command = [sys.executable, "-P", worker.__file__, os.path.abspath(path), str(threads or 0)]
        self.pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        self.stdin, self.stdout = cast(BinaryIO, self.pipe.stdin), cast(BinaryIO, self.pipe.stdout)
        weakref.finalize(self, _end, self.pipe)
        self.names = self.stdout.readline().decode().split()
        if not self.names:
            raise self._broken()

    def runner(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """One signature as a function."""

        def call(images: np.ndarray) -> np.ndarray:
            try:
                self.stdin.write(name.encode() + b"\n")
                worker.send(self.stdin, images)
                return worker.receive(self.stdout)
            except (OSError, EOFError) as error:
                raise self._broken() from error

        return call

    def _broken(self) -> InputError:
        self.pipe.wait()
        self.errors.seek(0)
        last = (self.errors.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        return InputError(f"TensorFlow without Keras cannot run the SavedModel: {last}")


def _end(pipe: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        cast(BinaryIO, pipe.stdin).close()
    pipe.wait()
    cast(BinaryIO, pipe.stdout).close()
