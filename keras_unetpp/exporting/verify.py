"""Proof that a file computes what its model does: it is run by its own runtime and compared, level by level."""

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from keras_unetpp.exporting.accuracy import LET_PASS, MIN_AGREEMENT, Accuracy, disagreement, masks_of
from keras_unetpp.exporting.samples import Calibration, batches
from keras_unetpp.formats import named
from keras_unetpp.formats.artefact import open_file, size_of
from keras_unetpp.formats.rebuild import float32
from keras_unetpp.formats.signature import Signature, probabilities_of
from keras_unetpp.graph.describe import select
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.tables import mega, score, table
from keras_unetpp.prediction.predictor import Predictor

BYTES = "image_bytes"
RUNS, THREADS = 3, 2
_MEMORY = 1e15
"""Bytes: no image is cut into tiles."""


@dataclass(frozen=True)
class Row:
    """One level of a file against the Keras model.

    Attributes:
        name: of the level, or `image_bytes`.
        difference: largest absolute difference of probabilities, over all images. Of a file that gives logits, after
            sigmoid or softmax. Of one that gives masks, how far from the threshold or from another class Keras'
            probability is where the masks differ; 0 where they do not. Infinite where the file gives NaN.
        agreement: part of the pixels whose class is the same, 0..1.
        milliseconds: median time of the first image, batch 1, two threads; of a SavedModel with the way to its
            process and back.
        where: the image and the place of the largest difference.
    """

    name: str
    difference: float
    agreement: float
    milliseconds: float
    where: str


@dataclass(frozen=True)
class Report:
    """What was written and how it compares; printing it shows a table.

    Attributes:
        path: of the file or folder.
        format: a name of `FORMATS`: "saved_model", "tflite", "onnx".
        bytes: its size.
        input: see `Signature`; so are output and sides.
        images: sides of the images that were compared, random ones first; none if it was not verified.
        tolerance: the largest difference allowed; None: any.
        rows: one for each level.
        accuracy: IoU and Dice of each level on labelled images, where the format's `write` measures them.
    """

    path: str
    format: str
    bytes: int
    input: str
    output: str
    sides: tuple[int | None, ...]
    images: tuple[tuple[int, ...], ...] = ()
    tolerance: float | None = None
    rows: tuple[Row, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()

    def __str__(self) -> str:
        head = f"{self.path}: {self.format}, {mega(self.bytes)}, {self.input} in, {self.output} out"
        if self.accuracy:
            scores = [(one.level, *map(score, (one.iou, one.model_iou, one.dice, one.model_dice)))
                      for one in self.accuracy]  # fmt: skip
            head += "\n" + table(["level", "IoU", "of the model", "Dice", "of the model"], scores)
        if not self.rows:
            return f"{head}\nnot verified"
        cells = [(row.name, f"{row.difference:.1e}", f"{row.agreement:.4%}", f"{row.milliseconds:.1f} ms")
                 for row in self.rows]  # fmt: skip
        lines = table(["level", "max difference", "mask agreement", "latency"], cells)
        limit = "any difference allowed" if self.tolerance is None else f"tolerance {self.tolerance:g}"
        sides = "x".join(map(str, self.images[0]))
        text = f"{len(self.images)} images compared, {limit}; latency at {sides}, batch 1, {THREADS} threads"
        return f"{head}\n{lines}\n{text}"

    def to_json(self) -> str:
        """The report as indented JSON text."""
        return json.dumps({**asdict(self), "accuracy": [one._asdict() for one in self.accuracy]}, indent=2)


def verify(path: str | os.PathLike[str], format: str, model: keras.Model, signature: Signature,
           images: Iterable[Any] | None = None, tolerance: float | None = None,
           min_agreement: float | None = None) -> Report:  # fmt: skip
    """Run a file in its own runtime and compare every level with the model, on random and on given images.

    The model runs in float32, through `segment`; mixed precision aside, nothing of what made the file takes part.

    Args:
        path: the file or folder.
        format: a name of `FORMATS`: "saved_model", "tflite", "onnx".
        model: what the file was made from.
        signature: what it was made for.
        images: more images, (height, width, channels) or paths, as `segment` takes them; where the sides of the file
            are fixed, they are cropped around the centre or padded by reflection.
        tolerance: largest difference of probabilities allowed, `math.inf` for any. Default: that of the file's mode.
        min_agreement: mean IoU, 0..1, that the masks must have with the model's on the given images; 0: any. Default:
            `MIN_AGREEMENT` where any difference is allowed, else 0.

    Raises:
        InputError: a level is missing, has another shape, or differs by more than the tolerance, the text says where;
            or its masks are not the model's.
    """
    if tolerance is None:
        tolerance = named(format).tolerance_of(path)
    if min_agreement is None:
        min_agreement = MIN_AGREEMENT if math.isinf(tolerance) else 0.0
    base = float32(model)
    levels = {name: Predictor(select(base, level), memory=_MEMORY)
              for name, level in zip(signature.names, signature.levels, strict=True)}  # fmt: skip
    made, (given, odd) = _noise(signature, levels[signature.default]), _given(signature, images)
    samples = made + given
    expected = {name: [_one(predictor(image)) for image in samples] for name, predictor in levels.items()}
    runners = open_file(path, format, THREADS, inside=True).functions
    rows = []
    for name in [*signature.names, *(name for name in runners if name == BYTES)]:
        if name not in runners:
            raise InputError(f"The file has no {name}. It has: {', '.join(runners)}.")
        level = signature.default if name == BYTES else name
        rows.append(_compared(name, runners[name], samples, expected[level], levels[level], signature))
    bad = [row for row in rows if not row.difference <= tolerance or math.isinf(row.difference)]
    if bad:
        faults = "; ".join(f"{row.name} by {row.difference:.3g} at {row.where}" for row in bad)
        raise InputError(f"The file differs from the Keras model by more than the tolerance {tolerance:g}: {faults}.")
    if given and min_agreement:
        masks = {name: masks_of(runners[name], [image[None] for image in given], signature) for name in levels}
        own = {name: list(map(one.mask, expected[name][len(made) :])) for name, one in levels.items()}
        if faults := disagreement(masks, own, min_agreement, odd):
            raise InputError(f"{faults} {LET_PASS.capitalize()}.")
    sides = tuple(tuple(image.shape[:-1]) for image in samples)
    limit = None if math.isinf(tolerance) else tolerance
    return report(path, format, signature, images=sides, tolerance=limit, rows=tuple(rows))


def report(path: str | os.PathLike[str], format: str, signature: Signature, **results: Any) -> Report:
    """A report of what is at `path`; without results, one that says so."""
    return Report(os.fspath(path), format, size_of(path), signature.input, signature.output, signature.sides, **results)


def _noise(signature: Signature, predictor: Predictor) -> list[np.ndarray]:
    """Images as the file takes them, float32: noise, and noise in large patches."""
    rng, found = np.random.default_rng(0), []
    for times, more, patch in ((4, 0, 1), (2, 5, 8)):
        # Sides that are no multiple, all different, where the file takes them.
        free = [times * step + more + (patch > 1) * 3 * axis for axis, step in enumerate(predictor.steps)]
        sides = [side or other for side, other in zip(signature.sides, free, strict=True)]
        coarse = rng.integers(0, 256, [*(-(-side // patch) for side in sides), signature.channels])
        for axis in range(len(sides)):
            coarse = coarse.repeat(patch, axis)
        found.append(coarse[tuple(map(slice, sides))].astype(np.float32))
    return found


def _given(signature: Signature, images: Iterable[Any] | None) -> Calibration:
    """The user's images, likewise."""
    own, odd = batches(() if images is None else images, signature, "Images to compare on")
    exact = signature.input == "float32"
    return Calibration([image[0] if exact else np.clip(np.rint(image[0]), 0, 255) for image in own], odd)


def _one(outputs: dict[str, np.ndarray]) -> np.ndarray:
    (result,) = outputs.values()
    return result


def _compared(name: str, run: Callable[[np.ndarray], np.ndarray], images: list[np.ndarray], expected: list[np.ndarray],
              predictor: Predictor, signature: Signature) -> Row:  # fmt: skip
    """One level over all images; images that are no whole grey levels are none for encoded ones."""
    kind = signature.output
    worst, where, same, count = 0.0, "", 0.0, 0
    for number, (image, wanted) in enumerate(zip(images, expected, strict=True)):
        if name == BYTES and not np.array_equal(image, image.astype(np.uint8)):
            continue
        got = run(image[None].astype(np.uint8) if name == BYTES else image[None])[0]
        mask = predictor.mask(wanted)
        if got.shape != (mask.shape if kind == "mask" else wanted.shape):
            raise InputError(f"{name} of the file gives shape {got.shape} for one image where {wanted.shape} is due.")
        if kind == "logits":
            got = probabilities_of(got, signature)
        difference = _margins(got, mask, wanted, predictor.exclusive) if kind == "mask" else np.abs(got - wanted)
        difference = np.where(np.isnan(difference), np.inf, difference)
        place = np.unravel_index(difference.argmax(), difference.shape)
        if difference[place] > worst or not where:
            worst = float(difference[place])
            where = f"image {number + 1} of {len(images)}, position {tuple(map(int, place))}"
        said = got if kind == "mask" else predictor.mask(got)
        same, count = same + float(np.mean(said == mask)), count + 1
    return Row(name, worst, same / count, _latency(run, images[0], name == BYTES), where)


def _margins(got: np.ndarray, mask: np.ndarray, probabilities: np.ndarray, exclusive: bool) -> np.ndarray:
    """How much Keras' probabilities would have to change for the other mask, pixel by pixel."""
    if exclusive:
        classes = np.minimum(got, probabilities.shape[-1] - 1)[..., None].astype(np.int64)
        return (probabilities.max(-1) - np.take_along_axis(probabilities, classes, -1)[..., 0]) / 2
    away = np.abs(probabilities - 0.5).reshape(mask.shape)
    return np.where(got == mask, 0.0, away)


def _latency(run: Callable[[np.ndarray], np.ndarray], image: np.ndarray, encoded: bool) -> float:
    batch, times = image[None].astype(np.uint8 if encoded else np.float32), []
    for _ in range(RUNS):
        start = time.perf_counter()
        run(batch)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
