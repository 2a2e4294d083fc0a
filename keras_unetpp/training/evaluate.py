"""Scores of every level on whole images at their native size."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import numpy as np

from keras_unetpp.inference import Predictor
from keras_unetpp.progress import track
from keras_unetpp.training.data import Sample, load
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


def evaluate(model: keras.Model, samples: Sequence[Sample], *, labels: str = "foreground",
             ignore_index: int | None = None, progress: bool = False) -> list[Score]:  # fmt: skip
    """Scores of every head of a model on every sample; an empty mask rightly found empty scores 1."""
    predictor = Predictor(model)
    scores = []
    for sample in track(samples, "validating", progress):
        image, target = load(
            sample, predictor.channels, labels, predictor.classes, ignore_index, ndim=len(predictor.sides)
        )
        for head, probabilities in predictor(image).items():
            iou, dice = _overlap(target[..., 0], predictor.mask(probabilities), predictor.classes, ignore_index)
            scores.append(Score(sample.name, sample.kind, head, iou, dice))
    return scores


def mean(scores: Iterable[Score], head: str | None = None, kind: str | None = None) -> Mean:
    """Mean over images of the scores of one head, of one kind of image or of all."""
    chosen = [score for score in scores if head in (None, score.head) and kind in (None, score.kind)]
    count = len(chosen)
    if not count:
        return Mean(0, math.nan, math.nan)
    return Mean(count, sum(score.iou for score in chosen) / count, sum(score.dice for score in chosen) / count)


def _overlap(target: np.ndarray, mask: np.ndarray, classes: int, ignore_index: int | None) -> tuple[float, float]:
    if classes == 1:
        own = [counts(target, mask, ignore_index)]
    else:
        valid = np.ones(target.shape, bool) if ignore_index is None else target != ignore_index
        of_class = [mask == k if mask.ndim == target.ndim else mask[..., k] > 0 for k in range(classes)]
        own = [counts((target == k)[valid], of_class[k][valid]) for k in range(1, classes)]
    return float(np.mean([one.iou() for one in own])), float(np.mean([one.dice() for one in own]))
