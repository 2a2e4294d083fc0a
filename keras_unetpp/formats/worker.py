"""Runs an exported file for `process.Process`: a script of its own process, which ends without harm to its caller.

Over standard input come lines of JSON that name a function and an array of images, over standard output go lines that
name the result; the arrays themselves lie in memory that both processes share. The script is run by its path.
"""

import importlib
import json
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

Opened = tuple[dict[str, Callable[[np.ndarray], np.ndarray]], dict[str, str]]
"""Functions by name, and texts by name."""


class Shared:
    """An array in a file that two processes map into their memory; the file grows with the largest array."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._map: mmap.mmap | None = None

    def put(self, array: np.ndarray) -> list[Any]:
        """Write an array; returns what `get` wants to know of it."""
        header = [list(array.shape), array.dtype.str]
        self.get(header)[...] = array
        return header

    def get(self, header: list[Any]) -> np.ndarray:
        """The array as it lies there, until the next is put."""
        shape, dtype = tuple(header[0]), np.dtype(header[1])
        size = max(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, 1)
        if self._map is None or len(self._map) < size:
            if os.fstat(self._file.fileno()).st_size < size:
                os.ftruncate(self._file.fileno(), size)
            self._map = mmap.mmap(self._file.fileno(), size)
        return np.ndarray(shape, dtype, self._map)


def _opened(runner: str, path: str, threads: int, trusted: bool) -> Opened:
    """What a runner gives; what was shipped runs without Keras, so that importing it fails from here on."""
    sys.path.append(str(Path(__file__).parents[2]))
    module = importlib.import_module(runner)
    sys.modules["keras"] = None  # type: ignore[assignment]
    opened: Opened = module.opened(path, threads, trusted)
    return opened


def _end_with_caller() -> None:
    """Leave once the caller is gone, also out of an endless loop of a runtime."""
    caller = os.getppid()
    while os.getppid() == caller:
        time.sleep(1)
    os._exit(1)


def main(runner: str, path: str, threads: int, trusted: bool, images: Shared, results: Shared) -> None:
    """Serve the file at `path`, until standard input ends.

    Args:
        runner: module with the function `opened`; see `formats`.
        path: of the file.
        threads: 0: all cores.
        trusted: run it whatever it does.
        images: to read from.
        results: to write to.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends this process
    threading.Thread(target=_end_with_caller, daemon=True).start()
    # What a runtime prints must not come between the answers.
    reply = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(**answer: Any) -> None:
        reply.write(json.dumps(answer) + "\n")
        reply.flush()

    try:
        functions, texts = _opened(runner, path, threads, trusted)
    except ValueError as error:  # errors of the package are
        if type(error).__name__ != "InputError":
            raise
        tell(error=str(error))
        return
    tell(names=list(functions), texts=texts)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        start = time.perf_counter()
        try:
            result = functions[asked["name"]](images.get(asked["images"]))
        except ValueError as error:
            if type(error).__name__ != "InputError":
                raise
            tell(error=str(error))
            continue
        seconds = time.perf_counter() - start
        tell(result=results.put(result), seconds=seconds)


if __name__ == "__main__":
    files = [open(int(name) if name.isdigit() else name, "r+b", buffering=0) for name in sys.argv[5:7]]  # noqa: SIM115
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "trusted", *map(Shared, files))
