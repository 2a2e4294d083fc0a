"""Heads of a built model, found by the names of its layers, so that pruned and reloaded models work as well."""

import re
from collections.abc import Mapping
from typing import Any

import keras

from keras_unetpp.data.pixels import Intake
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.designs import NORMALIZATION
from keras_unetpp.spec.level import MEAN, Level, check_asked
from keras_unetpp.spec.plan import head_name

_NODE_LAYER = re.compile(r"x_(\d+)_\d+_")
_HEAD = re.compile(r"L\d+")
_HEAD_UP = re.compile(r"L\d+_up(\d+)")


def heads(model: keras.Model) -> dict[str, Any]:
    """Output tensors by name, shallowest first: `L1`..`Ld`, or the one output of a model without deep supervision."""
    outputs = model.output
    return dict(outputs) if isinstance(outputs, Mapping) else {model.output_names[0]: outputs}


def select(model: keras.Model, level: Level = None) -> keras.Model:
    """A plain functional model of the same layers that computes one level, with nothing that it does not need.

    Args:
        model: with one output or several.
        level: 1..d; "mean", the heads' average (of logits, where heads give logits); None, the deepest there is.

    Raises:
        InputError: if the model has no head for that level.
    """
    divisor(model)  # raises for a model that is none of ours
    own = heads(model)
    name = list(own)[-1] if level is None else level
    if type(name) is not str or name not in own:
        check_asked(level, "This model has heads for", [int(one[1:]) for one in own if _HEAD.fullmatch(one)])
        name = head_name(level) if isinstance(level, int) else MEAN
    if name == MEAN:
        own = _with_mean(own)
    return keras.Model(model.inputs[0], own[name], name=f"{model.name}_{name}")


def with_mean(model: keras.Model) -> keras.Model:
    """A plain functional model of the same layers that computes every head and, of several, their average too."""
    return keras.Model(model.inputs[0], _with_mean(heads(model)), name=model.name)


def _with_mean(outputs: dict[str, Any]) -> dict[str, Any]:
    if len(outputs) < 2:
        return outputs
    return {**outputs, MEAN: keras.layers.Average(dtype="float32", name=MEAN)(list(outputs.values()))}


def divisor(model: keras.Model) -> int:
    """What every side of an input must be a multiple of: 2 to the lowest row, times the reduction of row 0."""
    rows = [int(match[1]) for layer in model.layers if (match := _NODE_LAYER.match(layer.name))]
    steps = [int(match[1]) for layer in model.layers if (match := _HEAD_UP.match(layer.name))]
    if not rows:
        raise InputError(f"This is no model of keras_unetpp: no layer of {model.name!r} is named x_0_0_... .")
    return int(2 ** (max(rows) + max(steps, default=0)))


def standardization(model: keras.Model) -> Any:
    """The layer that normalises by the whole image, or None."""
    own = (layer for layer in model.layers if layer.name == NORMALIZATION)
    return next((layer for layer in own if isinstance(layer, keras.layers.LayerNormalization)), None)


def intake(model: keras.Model) -> Intake:
    """What a model makes of the numbers that it is given."""
    normalize = standardization(model)
    return Intake(
        scaled=any(layer.name == NORMALIZATION for layer in model.layers),
        epsilon=None if normalize is None else normalize.epsilon,
    )


def head_activation(model: keras.Model) -> str:
    """Name of the heads' activation: `sigmoid`, `softmax`, or `linear` for logits; "" if no layer is named as one."""
    return next((layer.activation.__name__ for layer in model.layers if _HEAD.fullmatch(layer.name)), "")
