"""What the runtimes of all formats have in common."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import numpy as np

from keras_unetpp.kit.errors import InputError

SIGNATURE, SPEC, LABELS = "signature", "spec", "labels"
"""Texts that a file holds about itself."""

SHAPE = "shape"
"""What its runtime says of the images that it takes."""

LONGEST = 2**20
"""Bytes of the longest text that is read."""

Functions = Mapping[str, Callable[[np.ndarray], np.ndarray]]
"""The functions of a file by name: (batch, *sides, channels) pixel values 0..255 in, what its signature says out."""


class Opened(NamedTuple):
    """A file in its runtime: its functions, and the texts that it holds about itself, by name.

    Where the runtime tells the shape of the images, (*sides, channels), that is a text too: SHAPE, in JSON.
    """

    functions: Functions
    texts: dict[str, str]


@contextmanager
def wordless() -> Iterator[None]:
    """Without the words of compiled code, which it writes past Python's `sys.stderr`; errors tell all that matters."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def as_dtype(images: np.ndarray, dtype: type) -> np.ndarray:
    """Pixel values in the type that a file takes, rounded to it and cut off at its ends where it is uint8."""
    if np.issubdtype(dtype, np.integer) and images.dtype != dtype:
        images = np.clip(np.rint(images), 0, 255)
    return np.ascontiguousarray(images, dtype)


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind if it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def as_text(stream: BinaryIO, name: object) -> str:
    """What a stream holds, and no more of it than a text may have.

    Raises:
        InputError: it holds more, or no text; the error tells the `name`.
    """
    with stream:
        data = stream.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise InputError(f"{name} must be a text of at most {LONGEST} bytes. Received: more. Export the model again.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{name} must be text in UTF-8. Received: {first_line(error)}. Export it again.") from error
