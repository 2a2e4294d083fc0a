"""A built model, read once: the record that prediction, files, weights and training take of it.

It is read off the layers, their names and settings, and so is the same for a model that was built, cut out, copied,
cloned, subclassed, pickled, renamed, saved and opened again. What layers do not say, the Spec, models carry: see
`graph.carrier`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras

from keras_unetpp.data.pixels import Intake
from keras_unetpp.graph.memory import SIDE, bytes_per_pixel
from keras_unetpp.graph.views import whole_views
from keras_unetpp.graph.walk import output_shapes, running_order
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.designs import NORMALIZATION
from keras_unetpp.spec.facts import Sides
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.geometry import halvings
from keras_unetpp.spec.level import MEAN, Level, check_asked
from keras_unetpp.spec.names import backbone_layer, head_name, level_of, row_of, up_of
from keras_unetpp.spec.plan import plan


@dataclass(frozen=True, eq=False)
class Description:
    """What a model is.

    Attributes:
        model: itself.
        spec: of its network; None where it is not known, as of a cut-out level that version 0.1 saved.
        outputs: of its heads by name, shallowest first: `L1`..`Ld`, or the one output of a model with a single head.
        activation: of the heads, `sigmoid`, `softmax`, or `linear` for logits; "" if no layer is named as a head.
        divisors: what each side is a multiple of, pixels: the reduction of the lowest row along it.
        standardization: the layer that normalises by the whole image, or None.
        intake: what it makes of the numbers that it is given.
    """

    model: keras.Model
    spec: Spec | None
    outputs: Mapping[str, Any]
    activation: str
    divisors: Sides
    standardization: keras.layers.Layer | None
    intake: Intake

    @property
    def levels(self) -> tuple[int, ...]:
        """Those that have a head."""
        return tuple(level for name in self.outputs if (level := level_of(name)) is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that can be asked for: its outputs and, of several, their average."""
        return (*self.outputs, *([MEAN] if len(self.outputs) > 1 else []))

    @property
    def divisor(self) -> int:
        """The largest of `divisors`, which is a multiple of the others."""
        return max(self.divisors)

    @property
    def image(self) -> Any:
        """The tensor that it reads."""
        return self.model.inputs[0]

    @property
    def sides(self) -> tuple[int | None, ...]:
        """Of an image, in pixels; None: any."""
        return tuple(self.image.shape[1:-1])

    @property
    def channels(self) -> int:
        """Of an image."""
        return int(self.image.shape[-1])

    @property
    def classes(self) -> int:
        """Of its heads."""
        return int(next(iter(self.outputs.values())).shape[-1])

    @property
    def exclusive(self) -> bool:
        """Whether a pixel is of one class only; of logits, if there are several classes."""
        return self.activation == "softmax" or (self.activation == "linear" and self.classes > 1)

    @property
    def start(self) -> Any:
        """The tensor of pixels as the first node reads them, but for what each does on its own."""
        return self.image if self.standardization is None else self.standardization.output

    @cached_property
    def whole_views(self) -> tuple[str, ...]:
        """What in it sees the whole of what it is given; see `graph.views`."""
        return whole_views(self.model)

    @cached_property
    def bytes_per_pixel(self) -> float:
        """Memory that it takes to run, in bytes for each pixel of the input, the weights aside; see `graph.memory`."""
        return bytes_per_pixel(self.model, self.divisor)

    @cached_property
    def encoder(self) -> dict[str, keras.layers.Layer]:
        """The layers of its backbone, by the name that each has in the backbone by itself; empty without one."""
        if self.spec is None or not self.spec.taps:
            return {}
        own = {row.name for row in plan(self.spec)}
        named = ((backbone_layer(layer.name), layer) for layer in self.model.layers if layer.name not in own)
        return {found[1]: layer for found, layer in named if found}

    def output(self, level: Level = None) -> tuple[str, Any]:
        """Name and tensor of a level: 1..d; "mean", the heads' average (of logits, where they give logits); None, the
        deepest there is.

        Raises:
            InputError: the model has no head for that level.
        """
        name = list(self.outputs)[-1] if level is None else level
        if type(name) is not str or name not in self.outputs:
            check_asked(level, "This model has heads for", self.levels)
            name = head_name(name)
        return name, self.with_mean()[name] if name == MEAN else self.outputs[name]

    def with_mean(self) -> dict[str, Any]:
        """All outputs and, of several, their average."""
        own = dict(self.outputs)
        if len(self.names) > len(own):
            own[MEAN] = keras.layers.Average(dtype="float32", name=MEAN)(list(own.values()))
        return own


def describe(model: keras.Model) -> Description:
    """Read a model.

    Args:
        model: of this package, whole or cut out; or any functional model with layers named as here.

    Raises:
        InputError: it is no model of this package.

    >>> from keras_unetpp import build
    >>> about = describe(build((32, 32, 3), depth=2, width=4))
    >>> list(about.outputs), about.levels, about.sides, about.channels, about.classes, about.divisor
    (['L1', 'L2'], (1, 2), (32, 32), 3, 1, 4)
    """
    layers = model.layers
    rows = [row for layer in layers if (row := row_of(layer.name)) is not None]
    if not rows:
        raise InputError(f"This is no model of keras_unetpp: no layer of {model.name!r} is named x_0_0_... .")
    of_pixels = [layer for layer in layers if layer.name == NORMALIZATION]
    normalize = next((layer for layer in of_pixels if isinstance(layer, keras.layers.LayerNormalization)), None)
    outputs, spec = model.output, getattr(model, "spec", None)
    return Description(
        model=model,
        spec=spec,
        outputs=dict(outputs) if isinstance(outputs, Mapping) else {model.output_names[0]: outputs},
        activation=next((layer.activation.__name__ for layer in layers if level_of(layer.name) is not None), ""),
        divisors=_divisors(model, spec, max(rows)),
        standardization=normalize,
        intake=Intake(scaled=bool(of_pixels), epsilon=None if normalize is None else normalize.epsilon),
    )


def _divisors(model: keras.Model, spec: Spec | None, lowest: int) -> Sides:
    """The reduction of the lowest row along each side: told by the Spec; without one, by what becomes of a side."""
    halved = lowest + max((step for layer in model.layers if (step := up_of(layer.name)) is not None), default=0)
    if spec is not None:
        return tuple(2 ** (times + halved - lowest) for times in halvings(spec.strides, lowest, spec.rank))
    last = [layer for layer in model.layers if row_of(layer.name) == lowest][-1]
    try:
        shapes = output_shapes(running_order(model, [last.output]), SIDE)
    except KeyError:  # operations that are no layers; no row halves a side more than once
        return (2**halved,) * (len(last.output.shape) - 2)
    return tuple(SIDE // side for side in shapes[last.name][1:-1])


def select(model: keras.Model, level: Level = None) -> keras.Model:
    """A plain functional model of the same layers that computes one level, with nothing that it does not need.

    Args:
        model: with one output or several.
        level: see `Description.output`.

    Raises:
        InputError: if the model has no head for that level.
    """
    about = describe(model)
    name, output = about.output(level)
    return keras.Model(about.image, output, name=f"{model.name}_{name}")


def with_mean(model: keras.Model) -> keras.Model:
    """A plain functional model of the same layers that computes every head and, of several, their average too."""
    about = describe(model)
    return keras.Model(about.image, about.with_mean(), name=model.name)
