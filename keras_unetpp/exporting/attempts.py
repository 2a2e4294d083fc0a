"""A file written and, where it can lose, written again with more in float until it loses no more than allowed."""

import inspect
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unetpp.exporting.accuracy import MIN_AGREEMENT, Accuracy, Gate, check_min_agreement
from keras_unetpp.exporting.samples import Calibration, batches, pairs
from keras_unetpp.formats import Format, Mode
from keras_unetpp.formats.signature import Signature
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.levels import check_max_drop

CALIBRATION = "calibration"
"""The option of `write` that tells of a format that can lose."""

LOSSES = ("labelled", "max_drop", "min_agreement")
"""What such a format has for options besides those of its `write`; see `Losses`."""


def options_of(row: Format) -> list[str]:
    """Names of the options that a format has: those of its `write`, and what is done here."""
    parameters = inspect.signature(row.writer.write).parameters.values()
    own = [item.name for item in parameters if item.kind is item.KEYWORD_ONLY]
    return [name for one in own for name in ((one, *LOSSES) if one == CALIBRATION else (one,))]


def written(row: Format, model: keras.Model, path: str | os.PathLike[str], signature: Signature,
            options: Mapping[str, Any]) -> tuple[Accuracy, ...]:  # fmt: skip
    """Write a file of a format; of one that can lose, see `Losses`, the first of its attempts that does not too much.

    Args:
        row: the format.
        model: any model of this package.
        path: where to write; what is there when this fails is of no use.
        signature: what to offer.
        options: of those that `options_of` names.

    Returns:
        What was measured, by level; empty without `labelled`.

    Raises:
        InputError: an option that does not fit, missing or unfit images, a drop over `max_drop`, masks that are not the
            model's; a package is missing.
        OSError: the file cannot be written.
    """
    if CALIBRATION not in options_of(row):
        row.writer.write(model, path, signature, **options)
        return ()
    own = {name: value for name, value in options.items() if name not in (CALIBRATION, *LOSSES)}
    asked = {name: value for name, value in options.items() if name not in own}
    losses = Losses(row, model, signature, own.get("quantize"), **asked)
    again = row.writer.write(model, path, signature, **own, calibration=losses)
    found, fault = losses.measured(path)
    if fault and again is not None:
        again()
        found, fault = losses.measured(path)
    if fault:
        raise InputError(fault)
    return found


@dataclass(frozen=True)
class Losses:
    """What a file may lose, by images of the user; they are read when the writer asks for those to calibrate on.

    Attributes:
        row: the format.
        model: what the file is made from.
        signature: what it offers.
        quantize: the mode.
        calibration: some ten to hundred images like those to come, (height, width, channels) or paths, of any size:
            cropped around the centre or padded by reflection to sides that are fixed.
        labelled: (images, masks), images as for `calibration` and masks (height, width) of 0/1 or class ids, or pairs
            of an image and its mask: IoU and Dice of the file and of the model are measured on them.
        max_drop: IoU or Dice that a level may lose, 0..1.
        min_agreement: mean IoU, 0..1, that the masks of an 8-bit file must have with the model's on the images of
            `calibration` and `labelled`; 0 lets any pass.
    """

    row: Format
    model: keras.Model
    signature: Signature
    quantize: Any
    calibration: Iterable[Any] | None = None
    labelled: Iterable[Any] | None = None
    max_drop: float = 0.01
    min_agreement: float = MIN_AGREEMENT

    def __iter__(self) -> Iterator[np.ndarray]:
        """Batches of one image to calibrate on, after all that is wrong with options and images was told."""
        return iter(self._ready[0])

    def measured(self, path: str | os.PathLike[str]) -> tuple[tuple[Accuracy, ...], str]:
        """What a file loses, and what is wrong with that; see `Gate.measured`."""
        return self._ready[1].measured(lambda: self.row.runner.of_bytes(Path(path).read_bytes()).functions)

    @cached_property
    def _ready(self) -> tuple[list[np.ndarray], Gate]:
        check_max_drop(self.max_drop)
        check_min_agreement(self.min_agreement)
        mode = self.row.mode(self.quantize)
        judged = math.isinf(mode.tolerance)
        if judged or self.labelled is not None:
            self.row.check_runs()
        ranged = Calibration([], False)
        if mode.calibrated:
            images = () if self.calibration is None else self.calibration
            ranged = batches(images, self.signature, "Images to calibrate on")
            self.row.check_calibrated(mode.name, ranged.images)
        sample = [] if self.labelled is None else pairs(self.labelled, self.signature)
        gate = Gate(self.model, self.signature, sample, self.max_drop, ranged if judged else None, self.min_agreement,
                    _ways_out(self.row, mode))  # fmt: skip
        gate.check_model()
        return ranged.images, gate


def _ways_out(row: Format, mode: Mode) -> tuple[str, ...]:
    """What to do about a file that lost too much."""
    milder = row.modes[: row.modes.index(mode)]
    if not milder:
        return ()
    more = ("give more calibration images",) if mode.calibrated else ()
    word = "the milder " if len(row.modes) > 2 else ""
    return f"use {word}quantize={milder[-1].name!r}", *more
