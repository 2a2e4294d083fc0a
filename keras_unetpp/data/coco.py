"""Images annotated in COCO's format: one JSON file with polygons or run lengths, and the images beside it."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_unetpp.data.drawing import Size, polygon, run_lengths
from keras_unetpp.data.shapes import Annotated, Shape, field, file_within, points_of, read_json
from keras_unetpp.files import RECORD
from keras_unetpp.kit.errors import InputError, brief


def read(source: Path) -> tuple[list[Annotated], list[str]]:
    """What is annotated, and the names of the classes in their order: by the categories' ids.

    Large shapes come first, so that small ones within them stay to be seen.

    Args:
        source: the JSON file, or a folder with one such file; images are looked for beside it, then in `images/`.

    Raises:
        InputError: naming file and annotation: not in the format, a missing image, an id that is not there.
    """
    path = _file(source)
    described = read_json(path)
    category_list, images, annotations = (field(described, name, list, path) for name in
                                          ("categories", "images", "annotations"))  # fmt: skip
    categories = {field(one, "id", int, path): str(field(one, "name", str, path)) for one in category_list}
    sizes = {field(one, "id", int, path): (field(one, "height", int, path), field(one, "width", int, path))
             for one in images}  # fmt: skip
    shapes: dict[int, list[tuple[float, Shape]]] = {number: [] for number in sizes}
    for number, one in enumerate(annotations):
        name = f"annotation {brief(one.get('id', number) if isinstance(one, dict) else number)}"
        what = f"{path}: {name}"
        image, category = field(one, "image_id", int, what), field(one, "category_id", int, what)
        for kind, wanted, known in (("image", image, sizes), ("category", category, categories)):
            if wanted not in known:
                raise InputError(f"{what} is about {kind} {wanted}, which is not in the file")
        draw = _drawing(one.get("segmentation"), sizes[image], what)
        shape = Shape(categories[category], draw, name)
        area = one.get("area")
        shapes[image].append((-area if isinstance(area, (int, float)) else 0.0, shape))
    found = []
    for one in images:
        number = one["id"]
        file = _image(path.parent, field(one, "file_name", str, path))
        ordered = [shape for _, shape in sorted(shapes[number], key=lambda pair: pair[0])]
        found.append(Annotated(file, sizes[number], ordered, str(path)))
    return found, list(dict.fromkeys(categories[number] for number in sorted(categories)))


def _file(source: Path) -> Path:
    if not source.is_dir():
        return source
    files = sorted(path for path in source.glob("*.json") if path.name != RECORD)
    if len(files) != 1:
        raise InputError(f"{source} must hold one .json of COCO; it holds {len(files)}. Name the file instead.")
    return files[0]


def _image(folder: Path, name: str) -> Path:
    beside = file_within(folder, name)
    return beside if os.path.exists(beside) else file_within(folder, f"images/{name}", missing=beside)


def _drawing(segmentation: Any, size: Size, what: str) -> Callable[[], np.ndarray] | None:
    """What draws an annotation; None if it has no outline."""
    if not segmentation:
        return None
    if isinstance(segmentation, Mapping):
        own = field(segmentation, "size", list, what)
        if own != list(size):
            raise InputError(f"{what} is for an image of size {brief(own)}, but its image has {list(size)}")
        return partial(run_lengths, segmentation.get("counts"), size)
    parts = list(_parts(segmentation, what))
    return lambda: np.any([polygon(part, size) for part in parts], axis=0)


def _parts(segmentation: Any, what: str) -> Iterator[list[tuple[float, float]]]:
    for part in segmentation if isinstance(segmentation, list) else (None,):
        if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
            raise InputError(f"{what} must have polygons of three points or more, [x, y, x, y, x, y, ..]")
        yield points_of(list(zip(part[::2], part[1::2], strict=True)), what)
