"""Levels: cut them out of a trained model, compare them, choose the cheapest that is good enough."""

import statistics
import time
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_unetpp.errors import InputError
from keras_unetpp.graph.backend import compiled
from keras_unetpp.graph.heads import select
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.levels import LevelTable, cheapest, default_size, level_costs
from keras_unetpp.spec.plan import MEAN, Level
from keras_unetpp.training.evaluate import Data, evaluate, mean


def prune(model: keras.Model, level: Level, *, copy: bool = False) -> keras.Model:
    """Cut one level out of a trained model: a plain `keras.Model` of stock layers with one output.

    Its output is that head's, bit for bit, and layers that the head does not read are gone. Saved, it opens with
    `keras.models.load_model` where this package is not installed.

    Args:
        model: with deep supervision.
        level: 1..d; "mean" for the average of all heads (accurate mode), which keeps every layer; None, the deepest.
        copy: give it weights of its own; otherwise it shares those of `model`.

    Raises:
        InputError: if the model has no head for that level.
    """
    small = select(model, level)
    if copy:
        own = keras.models.clone_model(small)
        own.set_weights(small.get_weights())
        small = own
    if isinstance(model, UNetPP) and isinstance(level, int):
        small.spec = model.spec.at_level(level)
    return small


def levels(model: UNetPP | Spec, data: Data | None = None, *, size: tuple[int, ...] | None = None, repeat: int = 5,
           progress: bool = False, **options: Any) -> LevelTable:  # fmt: skip
    """What each level costs and, for a model, how fast it is here and how good on labelled data.

    Args:
        model: a model; or a Spec, which gives the costs alone.
        data: a folder, whose `val` images are scored; samples; or (images, masks). None scores nothing.
        size: sides in pixels at which costs and latency hold; default those of the Spec, else 256 each.
        repeat: timed runs of each level, batch 1; the median counts. 0 times nothing.
        progress: show a progress bar.
        options: `labels` and `ignore_index` of `evaluate`.

    Returns:
        Rows L1..Ld and, with several heads, `mean`; scores at threshold 0.5, means over images at native size.
    """
    if isinstance(model, Spec):
        return level_costs(model, size)
    sides = size or default_size(model.spec)
    rows = level_costs(model.spec, sides)
    times = _latencies(model, [row.level for row in rows], sides, repeat) if repeat else {}
    rows = LevelTable(replace(row, latency=times.get(row.level)) for row in rows)
    if data is None:
        return rows
    scores = evaluate(model, data, progress=progress, **options)
    if len(rows) > 1:
        scores += evaluate(select(model, MEAN), data, progress=progress, **options)
    means = [mean(scores, row.name) for row in rows]
    return LevelTable(replace(row, iou=own.iou, dice=own.dice) for row, own in zip(rows, means, strict=True))


def choose(model: UNetPP, data: Data, max_drop: float = 0.005, **options: Any) -> int:
    """The level of fewest multiply-accumulates whose IoU is within `max_drop` of the best level's.

    Args:
        model: a trained model.
        data: as in `levels`.
        max_drop: IoU that may be given up, 0..1.
        options: as in `levels`.

    Raises:
        InputError: if `max_drop` is no number from 0 to 1.
    """
    if not 0 <= max_drop <= 1:
        raise InputError(f"max_drop must be a number from 0 to 1. Received: {max_drop!r}.")
    return cheapest(levels(model, data, repeat=0, **options), max_drop)


def _latencies(model: UNetPP, every: list[Level], sides: tuple[int, ...], repeat: int) -> dict[Level, float]:
    """Median milliseconds of each level, the levels timed in turn so that they share what else the machine does."""
    image = np.random.default_rng(0).uniform(0, 255, (1, *sides, model.spec.channels)).astype("float32")
    runs = {level: compiled(select(model, level)) for level in every}
    times: dict[Level, list[float]] = {level: [] for level in every}
    for turn in range(repeat + 1):
        for level, run in runs.items():
            start = time.perf_counter()
            run(image)
            if turn:
                times[level].append(1000 * (time.perf_counter() - start))
    return {level: statistics.median(own) for level, own in times.items()}
