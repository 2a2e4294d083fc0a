"""Images annotated in LabelMe's format: a JSON file for each image."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_unetpp.data.drawing import Size, circle, polygon, rectangle
from keras_unetpp.data.images import image_size
from keras_unetpp.data.shapes import Annotated, Shape, field, file_within, points_of, read_json
from keras_unetpp.files import RECORD
from keras_unetpp.kit.errors import InputError, brief

DRAWN: dict[str, tuple[Callable[[Any, Size], np.ndarray], tuple[int, ...]]] = {
    "polygon": (polygon, ()),
    "rectangle": (rectangle, (2, 4)),
    "circle": (circle, (2,)),
}
"""Kind of shape -> what draws it, and the numbers of points that it can have; polygons have three or more."""


def read(source: Path) -> tuple[list[Annotated], list[str]]:
    """What is annotated, and the names of the classes in their order: the alphabet's.

    Args:
        source: a folder with JSON files in it or below, and the images; or one such file.

    Raises:
        InputError: naming file and shape: not in the format, a missing image, points that do not make a shape.
    """
    folder = source if source.is_dir() else source.parent
    files = sorted(path for path in source.rglob("*.json") if path.name != RECORD) if source.is_dir() else [source]
    if not files:
        raise InputError(f"{source} holds no .json of LabelMe")
    found = [_annotated(path, folder) for path in files]
    return found, sorted({shape.label for one in found for shape in one.shapes if shape.draw is not None})


def _annotated(path: Path, folder: Path) -> Annotated:
    described = read_json(path)
    name = field(described, "imagePath", str, path)
    image = file_within(folder, str(path.parent.resolve().relative_to(folder.resolve()) / name.replace("\\", "/")))
    size = image_size(image)
    height, width = (described.get(name, side) for name, side in zip(("imageHeight", "imageWidth"), size, strict=True))
    if (height, width) != size:
        raise InputError(
            f"{path} is for an image of {brief(height)} x {brief(width)} pixels; {image} has {size[0]} x {size[1]}"
        )
    shapes = [_shape(one, number, size, path) for number, one in enumerate(field(described, "shapes", list, path), 1)]
    return Annotated(image, (size[0], size[1]), shapes, str(path))


def _shape(one: Any, number: int, size: tuple[int, ...], path: Path) -> Shape:
    what = f"{path}: shape {number}"
    label, points = field(one, "label", str, what), points_of(field(one, "points", list, what), what)
    kind = field({"shape_type": one.get("shape_type") or "polygon"}, "shape_type", str, what)
    if kind not in DRAWN:
        return Shape(label, None, f"shape {number}, a {kind}")
    draw, counts = DRAWN[kind]
    if len(points) not in counts if counts else len(points) < 3:
        wanted = " or ".join(map(str, counts)) or "three or more"
        raise InputError(f"{what}, a {kind}, must have {wanted} points. Received: {len(points)}.")
    group = one.get("group_id")
    if not isinstance(group, (int, float, str, type(None))):
        raise InputError(f"{what} must have a number or a word as 'group_id'. Received: {brief(group)}.")
    return Shape(
        label, partial(draw, points, (size[0], size[1])), f"shape {number}", "" if group is None else str(group)
    )
