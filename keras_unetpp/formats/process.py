"""An exported file in a process of its own: whatever its runtime does there, the caller gets an answer or an error."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from contextlib import suppress
from typing import Any, BinaryIO, cast

import numpy as np

from keras_unetpp.formats import Format, named, worker
from keras_unetpp.formats.runtime import Opened
from keras_unetpp.kit.errors import InputError

PATIENCE = 10
"""Seconds that a process is given to end by itself."""


def open(format: str, path: str | os.PathLike[str], threads: int | None = None, trusted: bool = False) -> Opened:
    """A file with its functions by name; the process ends when the last of them is forgotten.

    Args:
        format: a name of `FORMATS`, whose `run` has `opened`, which is called there.
        path: the file or folder.
        threads: how many to run on; default all cores.
        trusted: run a SavedModel whatever it does; see `operations`.

    Raises:
        InputError: the runtime cannot open it. So do the functions where the runtime cannot run it; Ctrl-C ends them.
    """
    process = Process(named(format), path, threads, trusted)
    return Opened({name: Function(process, name) for name in process.told["names"]}, process.told["texts"])


class Function:
    """A function of the file.

    Attributes:
        seconds: that the last call took in the process, without the way there and back; None before the first.
    """

    def __init__(self, process: "Process", name: str) -> None:
        self._process, self._name = process, name
        self.seconds: float | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """What the function gives for a batch of images."""
        result, self.seconds = self._process.call(self._name, images)
        return result


class Process:
    """The other process and the talk with it; one that was ended is started again by the next call."""

    def __init__(self, format: Format, path: str | os.PathLike[str], threads: int | None, trusted: bool) -> None:
        self._path, self._format = os.path.abspath(path), format
        self._options = [str(threads or 0), "trusted" if trusted else "checked"]
        self._lock = threading.Lock()
        self.told: dict[str, Any] = {}
        self._start()

    def call(self, name: str, images: np.ndarray) -> tuple[np.ndarray, float]:
        """What a function gives, and the seconds that it took."""
        with self._lock:
            if self._pipe.poll() is not None:
                self._start()
            answer = self._ask({"name": name, "images": self._images.put(images)})
            return self._results.get(answer["result"]).copy(), answer["seconds"]

    def _start(self) -> None:
        files, self._errors = [_memory(), _memory()], tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._images, self._results = map(worker.Shared, files)
        inherited = [file.fileno() for file in files] if os.name == "posix" else []
        names = map(str, inherited or [file.name for file in files])
        # -P: the folder of the script, with its `onnx`, is no place to import from.
        asked = [self._format.runner.__name__, self._path, *self._options, *names]
        command = [sys.executable, "-P", worker.__file__, *asked]
        self._pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                                      pass_fds=inherited)  # fmt: skip
        self._end = weakref.finalize(self, _end, self._pipe)
        self.told = self._ask(None)

    def _ask(self, question: dict[str, Any] | None) -> dict[str, Any]:
        """The answer to a question, or what the process says first."""
        try:
            if question is not None:
                stdin = cast(BinaryIO, self._pipe.stdin)
                stdin.write(json.dumps(question).encode() + b"\n")
                stdin.flush()
            line = cast(BinaryIO, self._pipe.stdout).readline()
        except OSError:
            line = b""
        except BaseException:
            self._pipe.kill()
            self._end()
            raise
        if not line:
            raise self._broken()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise InputError(answer["error"])
        return answer

    def _broken(self) -> InputError:
        code = self._pipe.wait()
        if code < 0:
            text = f"{self._path} ended its process by {signal.Signals(-code).name}, as damaged files do"
            return InputError(f"{self._format.broken}: {text}. Export it again, or get it from who made it.")
        self._errors.seek(0)
        last = (self._errors.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        return InputError(f"{self._format.broken}: {last}")


def _memory() -> Any:
    """A file without a name that lies in memory, where the system has such, else one on disk."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("keras_unetpp"), "r+b", buffering=0)
    return tempfile.NamedTemporaryFile(buffering=0)


def _end(pipe: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        cast(BinaryIO, pipe.stdin).close()
    try:
        pipe.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pipe.kill()
        pipe.wait()
    cast(BinaryIO, pipe.stdout).close()
