"""What prediction needs to know of a network, be it a Keras model or an exported file."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import keras
import numpy as np

from keras_unetpp.artefacts import Artefact
from keras_unetpp.graph.backend import compiled
from keras_unetpp.graph.heads import divisor, head_activation, heads, select, standardization
from keras_unetpp.graph.memory import bytes_per_pixel
from keras_unetpp.spec.plan import Level

Segmenter: TypeAlias = keras.Model | Artefact | str | os.PathLike[str]
"""A model, an exported file, or the path of one."""


@dataclass(frozen=True)
class Network:
    """A network made ready to run.

    Attributes:
        names: of its heads.
        channels: of an image.
        sides: of an image, in pixels; None: any.
        classes: of its probabilities.
        exclusive: a pixel is of one class only.
        step: what sides are padded to, and tiles start at, multiples of, in pixels.
        pads: it pads and crops by itself, so that an image that is not cut into tiles stays as it is.
        epsilon: it wants pixels normalised by the mean and variance of the whole image, to which this is added.
        standardizes: it normalises whatever it is given, image or tile, by itself.
        masks: it gives masks, whose probabilities are 0 and 1.
        bytes_per_pixel: memory that it takes to run, in bytes.
        run: (batch, *sides, channels) float32 -> probabilities of each head.
    """

    names: tuple[str, ...]
    channels: int
    sides: tuple[int | None, ...]
    classes: int
    exclusive: bool
    step: int
    pads: bool
    epsilon: float | None
    standardizes: bool
    masks: bool
    bytes_per_pixel: float
    run: Callable[[np.ndarray], dict[str, np.ndarray]]


def at_level(model: Segmenter, level: Level) -> keras.Model | Artefact:
    """A model or file that has one level only; a path is opened.

    Raises:
        InputError: there is no such level or file.
    """
    opened = Artefact(model) if isinstance(model, (str, os.PathLike)) else model
    return opened.at(level) if isinstance(opened, Artefact) else select(opened, level)


def network(model: Segmenter) -> Network:
    """A model or file made ready."""
    opened = Artefact(model) if isinstance(model, (str, os.PathLike)) else model
    return _of_file(opened) if isinstance(opened, Artefact) else _of_model(opened)


def _of_model(model: keras.Model) -> Network:
    outputs, step = heads(model), divisor(model)  # raises for a model that is none of ours
    classes, activation = int(next(iter(outputs.values())).shape[-1]), head_activation(model)
    exclusive = activation == "softmax" or (activation == "linear" and classes > 1)
    normalize = standardization(model)
    if activation == "linear":
        to_probabilities = keras.layers.Activation("softmax" if exclusive else "sigmoid", dtype="float32")
        outputs = {name: to_probabilities(logits) for name, logits in outputs.items()}
    start = model.inputs[0] if normalize is None else normalize.output
    return Network(
        names=tuple(outputs),
        channels=int(model.inputs[0].shape[-1]),
        sides=tuple(model.inputs[0].shape[1:-1]),
        classes=classes,
        exclusive=exclusive,
        step=step,
        pads=False,
        epsilon=None if normalize is None else normalize.epsilon,
        standardizes=False,
        masks=False,
        bytes_per_pixel=bytes_per_pixel(model),
        run=compiled(keras.Model(start, outputs)),
    )


def _of_file(file: Artefact) -> Network:
    own = file.signature
    # Of fixed sides, tiles are as they are; then starts at all multiples of what divides the sides do.
    step = math.gcd(own.divisor, *(side for side in own.sides if side is not None))
    return Network(
        names=file.names,
        channels=own.channels,
        sides=own.sides,
        classes=own.classes,
        exclusive=own.exclusive,
        step=step,
        pads=True,
        epsilon=None,
        standardizes=own.standardizes,
        masks=own.output == "mask",
        bytes_per_pixel=own.bytes_per_pixel,
        run=file,
    )
