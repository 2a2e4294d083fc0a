"""Scores of every level on whole images at their native size."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_unetpp.data_folder import FOLDERS, OPTIONS, DataFolder, data_folder
from keras_unetpp.errors import InputError, hint
from keras_unetpp.images import image_size
from keras_unetpp.inference import Predictor
from keras_unetpp.masks import all_as_ids
from keras_unetpp.pixels import Ranges
from keras_unetpp.progress import track
from keras_unetpp.training.data import Sample, load, read_folder
from keras_unetpp.training.metrics import Counts, counts, over_classes


class Score(NamedTuple):
    """One image, one head: IoU and Dice at threshold 0.5; with several classes, the mean over those but class 0."""

    name: str
    kind: str
    head: str
    iou: float
    dice: float


class Mean(NamedTuple):
    """Means over images."""

    images: int
    iou: float
    dice: float


class Case(NamedTuple):
    """One whole image (*sides, channels) with its target, as `keras_unetpp.masks.as_ids` gives it."""

    name: str
    kind: str
    image: np.ndarray
    target: np.ndarray


Data = str | Path | DataFolder | Sequence[Sample] | tuple[Sequence[np.ndarray], Sequence[np.ndarray]]
"""A folder (its `val` split counts), samples, or images and as many masks, in arrays or, of any size, in lists."""


def evaluate(model: keras.Model, data: Data, *, labels: str = "auto", ignore_index: int | None = None,
             progress: bool = False, ranges: Ranges | None = None, **folder: Any) -> list[Score]:  # fmt: skip
    """Scores of every head of a model on every image.

    With several classes, an image's score is the mean over those but class 0. A class that neither the mask nor the
    prediction shows is left out of that mean; where they show none of the classes, as where an empty mask is rightly
    found empty, the image scores 1.

    Args:
        model: a model of this package, or an exported file.
        data: see `Data`. Masks hold ids, or, for several classes, 0 and 1 for each: see `keras_unetpp.masks.as_ids`.
        labels: whether ids are those of "classes" or any above 0 is "foreground"; "auto": classes if the model has
            several.
        ignore_index: the value of a mask that marks pixels to leave out.
        progress: show a progress bar.
        ranges: takes in what is odd about the values of the images; without it, an `InputWarning` tells it here.
        folder: single fields of `DataFolder`, by name, of a folder.

    Raises:
        InputError: data that cannot be read, a mask whose layout or values mean nothing, or a model that gives
            probabilities that are not finite.
    """
    data = data_folder(data, folder)
    for name in folder:
        known = ("labels", "ignore_index", *OPTIONS)
        raise InputError(f"There is no option {name!r} of scoring.{hint(name, known)} Options: {', '.join(known)}.")
    predictor, own = Predictor(model), ranges or Ranges("Images to score")
    items = _items(data, predictor, labels, ignore_index)
    scores = []
    for item in track(items, "scoring images", progress):
        case = item if isinstance(item, Case) else _read(item, predictor, labels, ignore_index)
        for head, probabilities in predictor(case.image, ranges=own, name=f"image {case.name}").items():
            mask = predictor.mask(probabilities)
            iou, dice = overlap(case.target, mask, predictor.classes, ignore_index, predictor.exclusive)
            scores.append(Score(case.name, case.kind, head, iou, dice))
    if ranges is None:
        own.tell()
    return scores


def _items(data: Data, predictor: Predictor, labels: str, ignore_index: int | None) -> list[Sample | Case]:
    rank = len(predictor.sides)
    if isinstance(data, FOLDERS):
        return [sample for sample in read_folder(data, ndim=rank) if sample.split == "val"]
    items: list[Any] = list(data)
    if all(isinstance(item, Sample) for item in items):
        return items
    if len(items) != 2 or len(items[0]) != len(items[1]):
        found = " and ".join(str(len(item)) for item in items) if len(items) == 2 else f"{len(items)} parts"
        raise InputError(f"Data must be (images, masks), as many masks as images. Received: {found}.")
    masks = all_as_ids(items[1], predictor.classes, exclusive=predictor.exclusive, labels=labels,
                       ignore_index=ignore_index, rank=rank)  # fmt: skip
    return [Case(str(number), "", *pair) for number, pair in enumerate(zip(items[0], masks, strict=True))]


def first_sides(model: keras.Model, data: Data, *, labels: str = "auto", ignore_index: int | None = None,
                **folder: Any) -> tuple[int, ...] | None:  # fmt: skip
    """The sides of the first image that `evaluate` would score, in pixels; None if there is none."""
    predictor = Predictor(model)
    rank = len(predictor.sides)
    first = next(iter(_items(data_folder(data, folder), predictor, labels, ignore_index)), None)
    if first is None:
        return None
    return first.image.shape[:rank] if isinstance(first, Case) else image_size(first.image, rank)


def _read(sample: Sample, predictor: Predictor, labels: str, ignore_index: int | None) -> Case:
    image, target = load(sample, predictor.channels, labels, predictor.classes, ignore_index, ndim=len(predictor.sides))
    if image.dtype != np.uint8:
        image = predictor.read(sample.image)  # in its own type, as `segment` takes it
    return Case(sample.name, sample.kind, image, target[..., 0])


def mean(scores: Iterable[Score], head: str | None = None, kind: str | None = None) -> Mean:
    """Mean over images of the scores of one head, of one kind of image or of all."""
    chosen = [score for score in scores if head in (None, score.head) and kind in (None, score.kind)]
    count = len(chosen)
    if not count:
        return Mean(0, math.nan, math.nan)
    return Mean(count, sum(score.iou for score in chosen) / count, sum(score.dice for score in chosen) / count)


def overlap(target: np.ndarray, mask: np.ndarray, classes: int, ignore_index: int | None = None,
            exclusive: bool = True) -> tuple[float, float]:  # fmt: skip
    """IoU and Dice of a mask with its target, by the rule of `evaluate`.

    Args:
        target: as `keras_unetpp.masks.as_ids` gives it.
        mask: of the same sides, as `Predictor.mask` gives it.
        classes: of both.
        ignore_index: value of `target` that marks pixels to leave out.
        exclusive: a pixel is of one class only, so that the mask holds ids and not a channel for each class.

    Raises:
        InputError: they differ in size.
    """
    sides = mask.shape if exclusive or classes == 1 else mask.shape[:-1]
    if sides != target.shape[: len(sides)]:
        raise InputError(
            f"A mask must have the size of its image. Received: {target.shape} for an image of {sides} pixels."
        )
    if classes == 1:
        own = [counts(target, mask, ignore_index)]
    else:
        valid = np.ones(target.shape, bool) if ignore_index is None else target != ignore_index
        if target.ndim > len(sides):
            valid = valid[..., 0]
        true, said = (_of_class(values, len(sides)) for values in (target, mask))
        own = [counts(true(k)[valid], said(k)[valid]) for k in range(1, classes)]
    pixels = Counts(*np.array(own, np.float64).T)
    iou, dice = (float(over_classes(scores, pixels, np)) for scores in (pixels.iou(), pixels.dice()))
    return iou, dice


def _of_class(values: np.ndarray, rank: int) -> Callable[[int], np.ndarray]:
    """Where the pixels of a class are, by its number, in ids (*sides) or in channels (*sides, classes)."""
    return lambda k: values == k if values.ndim == rank else values[..., k] > 0
