"""What a number in a Spec may be at most, and the checks that say so; a Spec may come from somebody's file."""

import math
from collections.abc import Sequence
from typing import Any

from keras_unetpp.kit.errors import InputError, brief

MAX_DEPTH = 6

MOST_CHANNELS = 2**16
"""Of an image, of a layer, of a head."""

MOST_LAYERS = 32
"""Of a block."""

MOST_PIXELS = 2**29
"""Pixels, or voxels, of an input whose sides are fixed."""


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """Raise `InputError` unless a field of Spec is a whole number within bounds."""
    if type(value) is not int or not low <= value <= high:
        raise InputError(f"Spec.{name} must be a whole number from {low} to {high}. Received: {brief(value)}.")


def check_real(name: str, value: Any, low: float, high: float) -> None:
    """Raise `InputError` unless a field of Spec is a number within bounds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InputError(f"Spec.{name} must be a number from {low} to {high}. Received: {brief(value)}.")


def as_tuple(name: str, value: Any) -> tuple[Any, ...]:
    """A field of Spec that is a tuple, or the list that JSON has for it."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, list):
        return tuple(value)
    raise InputError(f"Spec.{name} must be a tuple or list. Received: {brief(value)}.")


def check_layers(counts: Sequence[Any], depth: int) -> None:
    """Raise `InputError` unless there is a number of layers for each row, one for all, or none."""
    if len(counts) not in (0, 1, depth + 1) or any(
        type(one) is not int or not 1 <= one <= MOST_LAYERS for one in counts
    ):
        raise InputError(
            f"Spec.block_layers must be one whole number from 1 to {MOST_LAYERS}, or depth + 1 = {depth + 1} of them,"
            f" one a row. Received: {brief(counts)}."
        )


def check_shape(shape: tuple[Any, ...]) -> None:
    """Raise `InputError` unless a shape is one of an image or volume that can be."""
    good = len(shape) in (3, 4) and all([side is None or (type(side) is int and side > 0) for side in shape])
    if not good or shape[-1] is None:
        raise InputError(
            "Spec.input_shape must be (height, width, channels) or (depth, height, width, channels), positive whole"
            f" numbers; sides may be None, channels may not. Received: {brief(shape)}."
        )
    if shape[-1] > MOST_CHANNELS:
        raise InputError(f"Spec.input_shape has at most {MOST_CHANNELS:,} channels. Received: {brief(shape)}.")
    if math.prod([side or 1 for side in shape[:-1]]) > MOST_PIXELS:
        raise InputError(
            f"Spec.input_shape has at most {MOST_PIXELS:,} pixels. Received: {brief(shape)}. Leave sides open (None);"
            " segment() cuts large images into tiles."
        )
