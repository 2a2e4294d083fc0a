"""Annotations of other programs as a data folder: images, masks, index.csv and the names of the classes."""

import json
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.data import coco, labelme
from keras_unetpp.data.contents import listed
from keras_unetpp.data.images import EXTENSIONS, image_size, write_png
from keras_unetpp.data.shapes import BACKGROUND, IGNORED, Annotated, Shape
from keras_unetpp.data.sharing import split_folder
from keras_unetpp.files import make_ready, replacing_folder, write_text
from keras_unetpp.kit.errors import InputError, InputWarning, hint
from keras_unetpp.kit.progress import track

FORMATS: dict[str, Callable[[Path], tuple[list[Annotated], list[str]]]] = {"coco": coco.read, "labelme": labelme.read}
"""Name of a format -> what reads it."""

CLASSES = "classes.json"
MASKS = ("classes", "instances")


class Converted(NamedTuple):
    """What `convert_data` wrote.

    Attributes:
        folder: the data folder.
        images: how many there are.
        classes: names by their ids in the masks; 0 is the background.
        masks: "classes" or "instances".
        ignore_index: id of pixels of LabelMe's class `__ignore__`; None if there are none.
    """

    folder: Path
    images: int
    classes: tuple[str, ...]
    masks: str
    ignore_index: int | None = None

    def __str__(self) -> str:
        void = "" if self.ignore_index is None else f" and ignore_index={self.ignore_index}"
        if self.masks == "instances":
            return f"{self.images:,} images with a mask of instances each in {self.folder}; train with classes=1{void}"
        names = ", ".join(f"{number} {name}" for number, name in enumerate(self.classes))
        way = f"classes={len(self.classes)}, labels='classes'" if len(self.classes) > 2 else "classes=1"
        return f"{self.images:,} images with masks in {self.folder}: {names}; train with {way}{void}"


def convert_data(source: str | Path, out: str | Path, format: str, *, masks: str = "classes",
                 val_fraction: float = 0.2, seed: int = 0, progress: bool = False) -> Converted:  # fmt: skip
    """Make a data folder of images that were annotated with polygons.

    A pixel belongs to a shape if its centre lies inside. Where shapes overlap, the later one of LabelMe and the smaller
    one of COCO is on top. The folder has `images/`, `masks/`, `index.csv` with a validation share, and `classes.json`.

    Args:
        source: of COCO, the JSON file, with the images beside it or in `images/`; of LabelMe, the folder of JSON files.
        out: folder to write; it must not be there, or be empty.
        format: "coco" or "labelme".
        masks: "classes" numbers the classes, 1 on; "instances" the shapes of each image.
        val_fraction: share of the images that validate.
        seed: changes which ones.
        progress: show a progress bar.

    Returns:
        What was written; printing it says how to train on it.

    Raises:
        InputError: an unknown format, a folder that holds something, or what is wrong in the source, by name.
    """
    for name, value, known in (("format", format, FORMATS), ("masks", masks, MASKS)):
        if value not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}.{hint(value, known)} Received: {value!r}.")
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} holds something already, and nothing is overwritten. Name a new folder.")
    make_ready(target)
    annotated, names = FORMATS[format](Path(source))
    files = _names(annotated, source)
    classes = ("background", *(name for name in names if name not in (*BACKGROUND, IGNORED)))
    void = np.iinfo(_type(classes, masks)).max
    most = max(len(classes), *(len(one.shapes) + 1 for one in annotated if masks == "instances"), 0)
    if most > void:
        raise InputError(f"a mask can hold up to {void - 1:,} {masks}; {source} has {most - 1:,}")
    numbers = {**{name: number for number, name in enumerate(classes)}, **dict.fromkeys(BACKGROUND, 0), IGNORED: void}
    lost: list[str] = []
    with replacing_folder(target) as temporary:
        for name, one in track(list(zip(files, annotated, strict=True)), "drawing masks", progress):
            mask = _mask(one, numbers, masks, lost).astype(_type(classes, masks))
            write_png(temporary / "masks" / f"{Path(name).stem}.png", mask)
            (temporary / "images").mkdir(exist_ok=True)
            shutil.copyfile(one.image, temporary / "images" / name)
        named = json.dumps(dict(enumerate(classes)), indent=2, ensure_ascii=False)
        write_text(temporary / CLASSES, named + "\n")
        if len(files) > 1:
            split_folder(temporary, val_fraction, seed)
    if lost:
        text = (
            f"Annotations without a pixel are left out: {len(lost)} ({listed(lost)}). Boxes, lines, points and shapes"
        )
        warnings.warn(f"{text} smaller than a pixel have none.", InputWarning, stacklevel=2)
    return Converted(target, len(files), classes, masks, int(void) if IGNORED in names else None)


def _type(classes: Sequence[str], masks: str) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if masks == "classes" and len(classes) <= 255 else np.uint16


def _names(annotated: Sequence[Annotated], source: object) -> list[str]:
    """A name in one folder for each image; those of sub-folders keep the folder's name before their own."""
    if not annotated:
        raise InputError(f"{source} describes no image")
    files = [one.image for one in annotated]
    for one in annotated:
        if one.image.suffix.lower() not in EXTENSIONS:
            raise InputError(f"{one.image} is of a format that is not read; supported are {', '.join(EXTENSIONS)}")
        if not one.image.is_file():
            raise InputError(f"no such image: {one.image}")
        size = image_size(one.image)
        if size != one.size:
            raise InputError(
                f"{one.source} is for an image of {one.size[0]} x {one.size[1]} pixels (height x width);"
                f" {one.image} has {size[0]} x {size[1]}"
            )
    several = len({path.parent for path in files}) > 1
    names = [f"{path.parent.name}_{path.name}" if several else path.name for path in files]
    stem, count = Counter(Path(name).stem for name in names).most_common(1)[0]
    if count > 1:
        raise InputError(f"names of images must be unique without extension; {stem} is there {count} times")
    return names


def _mask(one: Annotated, numbers: Mapping[str, int], masks: str, lost: list[str]) -> np.ndarray:
    mask = np.zeros(one.size, np.uint16)
    instances: dict[tuple[str, str], int] = {}
    for position, shape in enumerate(one.shapes):
        inside = None if shape.draw is None else _drawn(shape, one)
        if inside is None or not inside.any():
            lost.append(f"{one.image.name}, {shape.name}")
        elif masks == "classes" or shape.label in (*BACKGROUND, IGNORED):
            mask[inside] = numbers[shape.label]
        else:
            key = (shape.label, shape.group or f"#{position}")
            mask[inside] = instances.setdefault(key, len(instances) + 1)
    return mask


def _drawn(shape: Shape, one: Annotated) -> np.ndarray:
    try:
        return shape.draw() if shape.draw is not None else np.zeros(one.size, bool)
    except InputError as error:
        raise InputError(f"{one.source}: {shape.name}: {error}") from error
