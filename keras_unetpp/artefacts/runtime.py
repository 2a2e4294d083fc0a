"""What the runtimes of all formats have in common."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SIGNATURE, SPEC, LABELS = "signature", "spec", "labels"
"""Texts that a file holds about itself."""

Functions = dict[str, Callable[[np.ndarray], np.ndarray]]
"""The functions of a file by name: (batch, *sides, channels) pixel values 0..255 in, what its signature says out."""


class Opened(NamedTuple):
    """A file in its runtime: its functions, and the texts that it holds about itself, by name."""

    functions: Functions
    texts: dict[str, str]


def as_dtype(images: np.ndarray, dtype: type) -> np.ndarray:
    """Pixel values in the type that a file takes, rounded to it and cut off at its ends where it is uint8."""
    if np.issubdtype(dtype, np.integer) and images.dtype != dtype:
        images = np.clip(np.rint(images), 0, 255)
    return np.ascontiguousarray(images, dtype)


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind if it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
