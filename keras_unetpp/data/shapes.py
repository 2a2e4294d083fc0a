"""What the formats of annotations have in common: shapes with a label on an image, read from JSON of others."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.kit import json_files
from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.kit.json_files import anything, mapping

BACKGROUND = ("_background_", "__background__", "background")
"""Names of classes that mean none."""
IGNORED = "__ignore__"
"""LabelMe's own name for what is neither."""

MOST_BYTES = 2**31
"""Of a file of annotations; those of COCO itself have 0.5 GB."""

FAR = 1e9
"""No coordinate is so large; this also keeps out what is no number."""


class Shape(NamedTuple):
    """One shape.

    Attributes:
        label: name of its class.
        draw: gives its pixels, bool (height, width); None if it has none, being a box, a line or a point.
        name: what it is called in the file.
        group: shapes of one class and group are parts of one instance; "" is a shape by itself.
    """

    label: str
    draw: Callable[[], np.ndarray] | None
    name: str
    group: str = ""


class Annotated(NamedTuple):
    """One image, with its shapes in the order in which they are drawn, later ones over earlier ones.

    Attributes:
        image: its file.
        size: (height, width) that the annotations are for.
        shapes: on it.
        source: the file that says so.
    """

    image: Path
    size: tuple[int, int]
    shapes: Sequence[Shape]
    source: str


def read_json(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: no such file, no JSON, or no object.
    """
    try:
        found: Mapping[str, Any] = json_files.read_json(
            path, mapping(anything), "Export the annotations again.", most=MOST_BYTES, strict=False
        )
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    return found


def field(values: Any, name: str, kind: type, what: object) -> Any:
    """A value of a JSON object, of the type that it must have.

    Raises:
        InputError: it is missing or of another type.
    """
    value: Any = values.get(name) if isinstance(values, dict) else None
    if kind is int and isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if not isinstance(value, kind) or isinstance(value, bool) or not _can_be_written(value):
        raise InputError(f"{what} must have {name!r} of type {kind.__name__}. Received: {brief(value)}.")
    return value


def _can_be_written(value: object) -> bool:
    """Whether it is no text that has halves of characters, as JSON can hold."""
    try:
        if isinstance(value, str):
            value.encode()
    except UnicodeEncodeError:
        return False
    return True


def points_of(values: Any, what: object) -> list[tuple[float, float]]:
    """Points [[x, y], ..] in pixels.

    Raises:
        InputError: something else.
    """
    for point in values:
        numbers = isinstance(point, (list, tuple)) and all(type(value) in (int, float) for value in point)
        if not numbers or len(point) != 2 or not all(abs(value) < FAR for value in point):
            raise InputError(f"{what} must have points x, y in pixels. Received: {brief(point)}.")
    return [(float(x), float(y)) for x, y in values]


def file_within(folder: Path, name: str, missing: Path | None = None) -> Path:
    """A file named by somebody's file, which may lie in the folder only.

    Args:
        folder: that it lies in.
        name: relative to the folder, with either kind of slash.
        missing: a file that was looked for before, to be named by the error.

    Raises:
        InputError: the name leads out of the folder, or, with `missing`, there is no such file.
    """
    path = folder / name.replace("\\", "/")
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # too long, not UTF-8, with a zero in it, links in a circle
        within = None
    if within is None or "\n" in name:
        raise InputError(f"{brief(name)} is no name of a file in {folder}. Name images as their files are.")
    if not within:
        raise InputError(f"{brief(name)} leads out of {folder}. Name a folder that holds images and annotations.")
    if missing is not None and not os.path.isfile(path):
        raise InputError(f"no such image: {missing}")
    return path
