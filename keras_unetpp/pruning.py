"""Levels: cut them out of a trained model, compare them, choose the cheapest that is good enough."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_unetpp.formats.artefact import Artefact
from keras_unetpp.formats.keras_file import is_saved_model, load_model
from keras_unetpp.graph.backend import compiled
from keras_unetpp.graph.carrier import Cut
from keras_unetpp.graph.describe import describe, select, with_mean
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.kit.errors import InputError, check_whole
from keras_unetpp.kit.tables import milliseconds, score, table
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.geometry import padded
from keras_unetpp.spec.level import MEAN, Level
from keras_unetpp.spec.levels import DEFAULT_SIDES, LevelTable, cheapest, check_max_drop, default_size, level_costs
from keras_unetpp.spec.names import level_of
from keras_unetpp.training.evaluate import Data, evaluate, first_sides, kept, mean


def prune(model: keras.Model, level: Level, *, copy: bool = False) -> keras.Model:
    """Cut one level out of a trained model: a functional `keras.Model` of stock layers with one output.

    Its output is that head's, bit for bit, and layers that the head does not read are gone. It carries the `spec` of
    what it is, also when it is copied, saved and opened again; where this package is not installed, its file opens with
    `keras.models.load_model` as a plain functional model.

    Args:
        model: with deep supervision.
        level: 1..d; "mean" for the average of all heads (accurate mode), which keeps every layer; None, the deepest.
        copy: give it weights of its own; otherwise it shares those of `model`.

    Raises:
        InputError: if the model has no head for that level.
    """
    small, about = select(model, level), describe(model)
    if copy:
        own = keras.models.clone_model(small)
        own.set_weights(small.get_weights())
        small = own
    spec = about.spec
    if spec is not None and (found := level_of(small.output_names[0])) is not None:
        spec = spec.at_level(found)
    return Cut(small.inputs[0], small.output, name=small.name, spec=spec)


@dataclass(frozen=True)
class FileRow:
    """One level of an exported file.

    Attributes:
        name: `L1`, .. or `mean`.
        latency: milliseconds for one image, or None if not measured.
        iou: mean IoU over images, or None if not measured.
        dice: mean Dice over images, or None if not measured.
    """

    name: str
    latency: float | None = None
    iou: float | None = None
    dice: float | None = None


@dataclass(frozen=True)
class FileLevels:
    """The levels of an exported file; printing it shows what the file is and a table.

    Attributes:
        file: what the file is, one line.
        rows: one for each level.
    """

    file: str
    rows: tuple[FileRow, ...]

    def __str__(self) -> str:
        cells = [(row.name, milliseconds(row.latency), score(row.iou), score(row.dice)) for row in self.rows]
        return f"{self.file}\n{table(['level', 'latency', 'IoU', 'Dice'], cells)}"


def levels(model: UNetPP | Spec | Artefact | str | os.PathLike[str], data: Data | None = None, *,
           size: tuple[int, ...] | None = None, repeat: int = 5, progress: bool = False,
           **options: Any) -> LevelTable | FileLevels:  # fmt: skip
    """What each level costs and, for a model, how fast it is here and how good on labelled data.

    Args:
        model: a model; a Spec, which gives the costs alone; or an exported file, which gives latency and scores of
            what is in it, measured in its own runtime.
        data: a folder, whose `val` images are scored; samples; or (images, masks). None scores nothing.
        size: sides in pixels at which costs and latency hold; default those of the Spec or file, else 256 each,
            for volumes 64, or as many as the data has if that is less.
        repeat: timed runs of each level, batch 1; the median counts. 0 times nothing.
        progress: show a progress bar.
        options: `labels` and `ignore_index` of `evaluate`, which say how masks are read.

    Returns:
        `LevelTable`, rows L1..Ld and, with several heads, `mean`; of a file, `FileLevels`. Scores are at threshold
        0.5, means over images at native size; how a file of fixed sides takes these, see `segment`.

    Raises:
        InputError: repeat, size, data or an option that does not fit; no such file.
    """
    check_whole("repeat", repeat, 0)
    if isinstance(model, Spec):
        return level_costs(model, size)
    if isinstance(model, (str, os.PathLike)):
        model = load_model(model) if is_saved_model(model) else Artefact(model)
    data = None if data is None else kept(model, data)
    if isinstance(model, Artefact):
        runs = {name: model.at(name) for name in model.names}
        sides, channels = model.signature.sides, model.signature.channels
        return _scored(model, str(model), runs, sides, channels, data, size, repeat, progress, options)
    about = describe(model)
    if about.spec is None:  # one that version 0.1 cut out and saved
        runs = {name: compiled(select(model, name)) for name in about.outputs}
        told = f"{model.name}: {model.count_params():,} parameters"
        return _scored(model, told, runs, about.sides, about.channels, data, size, repeat, progress, options)
    sides = size or _default_sides(model, about.spec, data, options)
    rows = LevelTable(row for row in level_costs(about.spec, sides) if row.name in about.names)
    timed = {row.level: compiled(select(model, row.name)) for row in rows} if repeat else {}
    times = latencies(timed, (*sides, about.channels), repeat)
    rows = LevelTable(replace(row, latency=times.get(row.level)) for row in rows)
    if data is None:
        return rows
    scores = evaluate(with_mean(model), data, progress=progress, **options)
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
        InputError: if `max_drop` is no number from 0 to 1, or the model has no single level.
    """
    check_max_drop(max_drop)
    rows = levels(model, data, repeat=0, **options)
    if isinstance(rows, FileLevels):
        raise InputError("choose weighs costs, which a file does not tell. Pass the model, or compare with levels().")
    if all(row.level == MEAN for row in rows):
        raise InputError("choose() weighs single levels. Received: one that has the mean only. Pass the whole model.")
    return cheapest(rows, max_drop)


def _default_sides(model: keras.Model, spec: Spec, data: Data | None, options: dict[str, Any]) -> tuple[int, ...]:
    """The sides at which costs hold unless told: those of the Spec; of volumes no more than those of the data."""
    sides = default_size(spec)
    seen = None if data is None or spec.rank == 2 else first_sides(model, data, **options)
    own = sides if seen is None else padded(seen, spec.divisors)
    return tuple(fixed or min(pair) for fixed, *pair in zip(spec.sides, sides, own, strict=True))


def _scored(model: Any, about: str, runs: Mapping[str, Callable[[np.ndarray], Any]], own: tuple[int | None, ...],
            channels: int, data: Data | None, size: Any, repeat: int, progress: bool,
            options: dict[str, Any]) -> FileLevels:  # fmt: skip
    """The levels of what tells no Spec, and so no costs."""
    sides = tuple(size or (None,) * len(own))
    if len(sides) != len(own) or any(None not in pair and pair[0] != pair[1] for pair in zip(sides, own, strict=True)):
        raise InputError(f"{about.partition(': ')[0]} takes images of {own} pixels (None: any). Received: size={size}.")
    shape = [asked or side or DEFAULT_SIDES[len(own)] for asked, side in zip(sides, own, strict=True)]
    times = latencies(runs, (*shape, channels), repeat) if repeat else {}
    scores = [] if data is None else evaluate(model, data, progress=progress, **options)
    means = {name: mean(scores, name) for name in runs} if scores else {}
    rows = [FileRow(name, times.get(name), *(means[name][1:] if means else ())) for name in runs]
    return FileLevels(about, tuple(rows))


def latencies(runs: Mapping[Any, Callable[[np.ndarray], Any]], shape: tuple[int, ...],
               repeat: int) -> dict[Any, float]:  # fmt: skip
    """Median milliseconds of each run, timed in turn so that they share what else the machine does.

    Args:
        runs: by any key, what takes a batch of one image.
        shape: of the image, (*sides, channels).
        repeat: turns, after one that does not count.
    """
    image = np.random.default_rng(0).uniform(0, 255, (1, *shape)).astype("float32")
    times: dict[Any, list[float]] = {key: [] for key in runs}
    for turn in range(repeat + 1):
        for key, run in runs.items():
            start = time.perf_counter()
            run(image)
            seconds = time.perf_counter() - start
            if turn:
                # Of a file in a process of its own, the time there.
                times[key].append(1000 * (getattr(run, "seconds", None) or seconds))
    return {key: statistics.median(own) for key, own in times.items()}
