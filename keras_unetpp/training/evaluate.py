"""Scores of every level on whole images at their native size."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_unetpp.data_folder import FOLDERS, DataFolder
from keras_unetpp.inference import Predictor
from keras_unetpp.pixels import Ranges
from keras_unetpp.progress import track
from keras_unetpp.training.data import Sample, load, read_folder
from keras_unetpp.training.metrics import counts


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
    """One whole image (*sides, channels) with its target (*sides) of 0/1 or class ids."""

    name: str
    kind: str
    image: np.ndarray
    target: np.ndarray


Data = str | Path | DataFolder | Sequence[Sample] | tuple[np.ndarray, np.ndarray]
"""A folder (its `val` split counts), samples, or arrays of images and masks."""


def evaluate(model: keras.Model, data: Data, *, labels: str = "foreground", ignore_index: int | None = None,
             progress: bool = False, ranges: Ranges | None = None) -> list[Score]:  # fmt: skip
    """Scores of every head of a model on every image; an empty mask rightly found empty scores 1.

    What is odd about the values of the images, `ranges` takes in; without it, an `InputWarning` tells it here.
    """
    predictor, own = Predictor(model), ranges or Ranges("Images to score")
    items: list[Sample | Case] = _items(data, ndim=len(predictor.sides))
    scores = []
    for item in track(items, "scoring images", progress):
        case = item if isinstance(item, Case) else _read(item, predictor, labels, ignore_index)
        for head, probabilities in predictor(case.image, ranges=own, name=f"image {case.name}").items():
            iou, dice = overlap(case.target, predictor.mask(probabilities), predictor.classes, ignore_index)
            scores.append(Score(case.name, case.kind, head, iou, dice))
    if ranges is None:
        own.tell()
    return scores


def _items(data: Data, ndim: int) -> list[Sample | Case]:
    if isinstance(data, FOLDERS):
        return [sample for sample in read_folder(data, ndim=ndim) if sample.split == "val"]
    if isinstance(data, tuple) and len(data) == 2 and not isinstance(data[0], Sample):
        pairs = zip(*data, strict=True)
        return [
            Case(str(number), "", image, mask[..., 0] if mask.ndim == ndim + 1 else mask)
            for number, (image, mask) in enumerate(pairs)
        ]
    return list(data)


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


def overlap(target: np.ndarray, mask: np.ndarray, classes: int, ignore_index: int | None = None) -> tuple[float, float]:
    """IoU and Dice of a mask, as `Predictor.mask` gives it, with its target; means over the classes but class 0."""
    if classes == 1:
        own = [counts(target, mask, ignore_index)]
    else:
        valid = np.ones(target.shape, bool) if ignore_index is None else target != ignore_index
        of_class = [mask == k if mask.ndim == target.ndim else mask[..., k] > 0 for k in range(classes)]
        own = [counts((target == k)[valid], of_class[k][valid]) for k in range(1, classes)]
    return float(np.mean([one.iou() for one in own])), float(np.mean([one.dice() for one in own]))
