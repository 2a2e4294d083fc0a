"""Scores of every level on whole images at their native size."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_unetpp.data.data_folder import FOLDERS, OPTIONS, DataFolder, data_folder
from keras_unetpp.data.folders import Sample, read_folder, read_pair, target_of
from keras_unetpp.data.images import image_size
from keras_unetpp.data.masks import all_as_ids
from keras_unetpp.data.pairs import images_and_masks
from keras_unetpp.data.pixels import Ranges
from keras_unetpp.kit.errors import InputError, hint
from keras_unetpp.kit.progress import track
from keras_unetpp.prediction.networks import Segmenter
from keras_unetpp.prediction.predictor import Predictor
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
    """One whole image (*sides, channels) with its target, as `keras_unetpp.data.masks.as_ids` gives it."""

    name: str
    kind: str
    image: np.ndarray
    target: np.ndarray


Data = (str | Path | DataFolder | Sequence[Sample] | tuple[Sequence[np.ndarray], Sequence[np.ndarray]]
        | Iterable[tuple[np.ndarray, np.ndarray]])  # fmt: skip
"""A folder (its `val` split counts), samples, images and as many masks, in arrays or, of any size, in lists, or pairs
of them, as `tf.data.Dataset` gives them; see `images_and_masks`."""


def evaluate(model: keras.Model, data: Data, *, labels: str = "auto", ignore_index: int | None = None,
             progress: bool = False, ranges: Ranges | None = None, **folder: Any) -> list[Score]:  # fmt: skip
    """Scores of every head of a model on every image.

    With several classes, an image's score is the mean over those but class 0. A class that neither the mask nor the
    prediction shows is left out of that mean; where they show none of the classes, as where an empty mask is rightly
    found empty, the image scores 1. An image without a pixel that counts, since all of them are `ignore_index`, has no
    score and is not listed, as metrics leave it out too; an `InputWarning` says how many there are.

    Args:
        model: a model of this package, or an exported file.
        data: see `Data`. Masks hold ids, or, for several classes, 0 and 1 for each: see `data.masks.as_ids`.
        labels: whether ids are those of "classes" or any above 0 is "foreground"; "auto": classes if the model has
            several.
        ignore_index: the value of a mask that marks pixels to leave out.
        progress: show a progress bar.
        ranges: takes in what is odd about the values of the images; without it, an `InputWarning` tells it here.
        folder: single fields of `DataFolder`, by name, of a folder.

    Raises:
        InputError: data that cannot be read or could mean two things, a mask whose layout or values mean nothing, no
            image with a pixel that counts, or a model that gives probabilities that are not finite.
    """
    data = data_folder(data, folder)
    for name in folder:
        known = ("labels", "ignore_index", *OPTIONS)
        raise InputError(f"There is no option {name!r} of scoring.{hint(name, known)} Options: {', '.join(known)}.")
    predictor, own = Predictor(model), ranges or Ranges("Images to score")
    items = _items(data, predictor, labels, ignore_index)
    scores, empty = [], 0
    for item in track(items, "scoring images", progress):
        case = item if isinstance(item, Case) else _read(item, predictor, labels, ignore_index)
        if ignore_index is not None and (case.target == ignore_index).all():
            empty += 1
            continue
        for head, probabilities in predictor(case.image, ranges=own, name=f"image {case.name}").items():
            mask = predictor.mask(probabilities)
            iou, dice = overlap(case.target, mask, predictor.classes, ignore_index, predictor.exclusive)
            scores.append(Score(case.name, case.kind, head, iou, dice))
    if not scores:
        raise InputError(_nothing_counts(len(items), ignore_index))
    if ranges is None:
        own.tell()
    if empty:
        own.say(f"Not scored: {empty} of {len(items)} images, all of whose pixels are ignore_index={ignore_index}.")
    return scores


def _nothing_counts(images: int, ignore_index: int | None) -> str:
    if not images:
        return "Data to score must hold at least one image. Received: none."
    return (
        f"Data to score must hold pixels that count. Received: {images} images, all of whose pixels are"
        f" ignore_index={ignore_index}. Give masks of what is to be found, or another ignore_index."
    )


def _items(data: Data, predictor: Predictor, labels: str, ignore_index: int | None) -> list[Sample | Case]:
    samples = _samples(data, predictor)
    if samples is not None:
        return [*samples]
    rank = len(predictor.sides)
    images, masks = images_and_masks(data, predictor.channels, predictor.classes, rank)
    targets = all_as_ids(masks, predictor.classes, exclusive=predictor.exclusive, labels=labels,
                         ignore_index=ignore_index, rank=rank)  # fmt: skip
    return [Case(str(number), "", *pair) for number, pair in enumerate(zip(images, targets, strict=True))]


def _samples(data: Data, predictor: Predictor) -> list[Sample] | None:
    """The samples that are scored of a folder or sequence; None of other data."""
    if isinstance(data, FOLDERS):
        return [sample for sample in read_folder(data, ndim=len(predictor.sides)) if sample.split == "val"]
    if isinstance(data, (list, tuple)) and all(isinstance(item, Sample) for item in data):
        return list(data)
    return None


def kept(model: Segmenter, data: Data) -> Data:
    """Data that can be walked through more than once, each time in the same order."""
    if isinstance(data, (*FOLDERS, list, tuple)):
        return data
    predictor = Predictor(model)
    images, masks = images_and_masks(data, predictor.channels, predictor.classes, len(predictor.sides))
    return images, masks


def first_sides(model: keras.Model, data: Data, **options: Any) -> tuple[int, ...] | None:
    """The sides of the first image that `evaluate` would score, in pixels; None if there is none.

    Args:
        model: as there.
        data: as there.
        options: as there; those of a folder matter.
    """
    predictor = Predictor(model)
    rank = len(predictor.sides)
    data = data_folder(data, options)
    samples = _samples(data, predictor)
    if samples is None:
        images = images_and_masks(data, predictor.channels, predictor.classes, rank).images
        return np.shape(images[0])[:rank] if images else None
    return image_size(samples[0].image, rank) if samples else None


def _read(sample: Sample, predictor: Predictor, labels: str, ignore_index: int | None) -> Case:
    pixels, ids = read_pair(sample, predictor.channels, len(predictor.sides))
    target = target_of(sample, ids, labels, predictor.classes, ignore_index)
    return Case(sample.name, sample.kind, pixels, target[..., 0])  # in its own type, as `segment` takes it


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
        target: as `keras_unetpp.data.masks.as_ids` gives it.
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
