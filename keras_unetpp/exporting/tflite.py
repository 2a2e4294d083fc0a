"""TFLite, now LiteRT: one file for mobile apps, a function for each level on shared weights, fixed sides, batch 1."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_unetpp.artefacts import tflite as runtime
from keras_unetpp.artefacts.runtime import Functions, first_line
from keras_unetpp.artefacts.signature import Signature
from keras_unetpp.exporting import flatbuffer
from keras_unetpp.exporting.accuracy import MIN_AGREEMENT, Accuracy, Gate, check_min_agreement
from keras_unetpp.exporting.samples import Calibration, calibrating, pairs
from keras_unetpp.exporting.signature import check_labels, functions
from keras_unetpp.exporting.tflite_convert import convert
from keras_unetpp.exporting.tflite_metadata import describe
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.requirements import require
from keras_unetpp.spec.levels import check_max_drop

QUANTIZE = (None, "float16", "dynamic", "int8_float_io", "int8")
"""Modes of quantisation, mildest first."""

CALIBRATED = ("int8", "int8_float_io")
TOLERANCE: dict[str | None, float] = {None: 1e-4, "float16": 1e-2}
"""Largest difference from the Keras model, by mode; 8-bit files are judged by their masks instead."""


def write(model: keras.Model, path: str | Path, signature: Signature, *, quantize: str | None = None,
          calibration: Iterable[Any] | None = None, labelled: Iterable[Any] | None = None,
          max_drop: float = 0.01, min_agreement: float = MIN_AGREEMENT, labels: Sequence[str] | None = None,
          author: str = "", licence: str = "") -> tuple[Accuracy, ...]:  # fmt: skip
    """Write a model as a TFLite file of built-in operations only.

    Its functions `L1`.. and `mean` each take `image`, (1, *sides, channels), and give one tensor named as
    `signature.output`. A network that normalises each image does so in float32 in every mode.

    Args:
        model: any model of this package.
        path: the file; `export` gives one beside the file that it is for.
        signature: of fixed sides; input "float32" or "uint8".
        quantize: None, float32. "float16", weights in half precision. "dynamic", weights of 8 bits, and arithmetic too
            where the processor has it. "int8_float_io", 8 bits throughout, ranges found on `calibration`. "int8", also
            uint8 pixel values in and uint8 probabilities, in steps of 1/256, or logits out.
        calibration: some ten to hundred images like those to come, (height, width, channels) or paths, of any size:
            cropped around the centre or padded by reflection to the file's sides.
        labelled: (images, masks), images as for `calibration` and masks (height, width) of 0/1 or class ids, or pairs
            of an image and its mask: IoU and Dice of the file and of the model are measured on them.
        max_drop: IoU or Dice that a level may lose, 0..1. Before the int8 modes give up, they are tried with the
            first two convolutions and, but for "int8", the last of each head, in float.
        min_agreement: mean IoU, 0..1, that the masks of an 8-bit file must have with the model's on the images of
            `calibration` and `labelled`; 0 lets any pass.
        labels: names of the classes, for one class that of the foreground; see `describe`.
        author: of the model, for the metadata.
        licence: of the weights, for the metadata.

    Returns:
        What was measured, by level; empty without `labelled`.

    Raises:
        InputError: for sides left open, an unknown mode, missing or unfit images, a layer that TFLite's built-in
            operations cannot compute, a drop over `max_drop`, or masks that are not the model's.
        OSError: the file cannot be written.
    """
    _check(signature, quantize, max_drop)
    check_min_agreement(min_agreement)
    names = check_labels(labels, signature.classes)[-signature.classes :]
    require("mobile", "tensorflow", *(["ai_edge_litert"] if labelled is not None or quantize not in TOLERANCE else []))
    ranged = Calibration([], False)
    if _whole(quantize):
        ranged = calibrating(calibration, signature, quantize, "quantize='dynamic' needs none.")
    sample = [] if labelled is None else pairs(labelled, signature)
    levels, layers = functions(model, signature), [layer.name for layer in model.layers]

    def attempt(spare_ends: bool) -> bytes:
        return convert(levels, signature, quantize, ranged.images, layers, spare_ends)

    attempts = [partial(attempt, spare_ends) for spare_ends in ((False, True) if _whole(quantize) else (False,))]
    judged = None if quantize in TOLERANCE else ranged
    gate = Gate(levels, signature, sample, max_drop, judged, min_agreement, _ways_out(quantize))
    data, found = gate.passed(attempts, _opened)
    told = replace(signature, rounds=signature.rounds or quantize == "int8")
    data = describe(data, model, told, labels=names, author=author, licence=licence)
    Path(path).write_bytes(data)
    return found


def mode(path: str | os.PathLike[str]) -> str | None:
    """The mode of quantisation that a file tells of: None, "float16", or "int8" for all of 8 bits."""
    kinds = flatbuffer.kinds(flatbuffer.read(Path(path).read_bytes()))
    return next((mode for mode, kind in (("int8", "INT8"), ("float16", "FLOAT16")) if kind in kinds), None)


def _opened(data: bytes) -> Functions:
    try:
        return runtime.functions(model_content=data)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"LiteRT cannot run the file: {first_line(error)}") from error


def _whole(quantize: str | None) -> bool:
    """Whether arithmetic is of 8 bits throughout, so that ranges of values have to be known."""
    return quantize in CALIBRATED


def _check(signature: Signature, quantize: str | None, max_drop: float) -> None:
    """Raise `InputError`, before any work, for what TFLite cannot do."""
    if quantize not in QUANTIZE:
        raise InputError(f"quantize must be one of {', '.join(map(str, QUANTIZE))}. Received: {quantize!r}.")
    check_max_drop(max_drop)
    if signature.input == "image_bytes":
        raise InputError("A .tflite file takes input='float32' or 'uint8'. Received: 'image_bytes'.")
    if None in signature.sides:
        raise InputError(
            f"The sides of a .tflite file are fixed. Received: {signature.sides}. Pass size=, for example size=256."
        )


def _ways_out(quantize: str | None) -> tuple[str, ...]:
    """What to do about a file that lost too much."""
    if quantize is None:
        return ()
    more = ("give more calibration images",) if quantize in CALIBRATED else ()
    return f"use the milder quantize={QUANTIZE[QUANTIZE.index(quantize) - 1]!r}", *more
