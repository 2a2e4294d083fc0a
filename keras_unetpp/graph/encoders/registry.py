"""Backbones by name: those that ship, and those that a user adds."""

from collections.abc import Callable, Sequence

import keras

from keras_unetpp.graph.encoders.families.applications import application
from keras_unetpp.graph.encoders.families.lite import efficientnet_lite
from keras_unetpp.graph.encoders.families.resnet import resnet
from keras_unetpp.graph.encoders.families.vgg import vgg
from keras_unetpp.graph.encoders.measure import first_convolution, measure, tapped_layers
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.tables import giga, table
from keras_unetpp.spec import backbones as facts
from keras_unetpp.spec.backbone_table import BACKBONES
from keras_unetpp.spec.backbones import Backbone
from keras_unetpp.spec.cost import cost
from keras_unetpp.spec.fields import Spec

Template = Callable[[], keras.Model]

_TEMPLATES: dict[str, Callable[[str], keras.Model]] = {
    "applications": application,
    "lite": lambda name: efficientnet_lite(int(name.removeprefix("efficientnet_lite"))),
    "resnet": lambda name: resnet(int(name.removeprefix("resnet"))),
    "vgg": lambda name: vgg(int(name.removeprefix("vgg"))),
}
_own: dict[str, Template] = {}


def template(name: str) -> keras.Model:
    """A backbone by itself, without classifier and with random weights.

    A functional model of one level, from (batch, height, width, 3) of any sides, pixels as its `mean` and `std` say.

    Raises:
        InputError: there is no backbone of that name.
    """
    if name in _own:
        return _own[name]()
    if name not in BACKBONES:
        facts.backbone(name)  # raises
    return _TEMPLATES[BACKBONES[name].template](name)


def register_backbone(name: str, model: keras.Model | Template, taps: Sequence[str] | None = None, *,
                      mean: Sequence[float] = (0.0, 0.0, 0.0), std: Sequence[float] = (1.0, 1.0, 1.0),
                      licence: str = "", source: str = "") -> Backbone:  # fmt: skip
    """Let `Spec.backbone` name an encoder of yours.

    Specs that name it are valid, and models built from them load, in processes that have registered it.

    Args:
        name: letters, digits and underscores.
        model: functional, of one level, from (batch, None, None, 3); or a function that makes one. Its structure is
            copied, and with `encoder_weights="own"` its weights too.
        taps: names of the layers to read, one for each row, finest first: at reductions 1, 2, 4, .. or 2, 4, ..;
            each should separate the network, so that what comes later reads what is before through it alone. None
            takes the `pyramid_outputs` of a KerasHub backbone (extra `hub`).
        mean: of red, green and blue, in pixel values 0..255, subtracted inside the graph.
        std: what the difference is divided by.
        licence: of the weights.
        source: of the network.

    Returns:
        Its facts, measured: channels, parameters, multiply-accumulates, memory and view of each tap.

    Raises:
        InputError: the name is taken; a tap is not there; sides that are not those of the image over a power of 2.
    """
    if len(mean) != 3 or len(std) != 3 or not all(std):
        raise InputError(f"mean and std need three numbers, std none of 0. Received: {mean!r} and {std!r}.")
    make: Template = (lambda: model) if isinstance(model, keras.Model) else model
    made = make()
    channels = getattr(made, "input_shape", None)
    taps = _pyramid(made) if taps is None else list(taps)
    if not taps or not isinstance(channels, tuple) or channels[1:] != (None, None, 3):
        raise InputError(
            f"A backbone needs taps and an input of shape (None, None, None, 3). Received: taps {taps} and input"
            f" {channels}."
        )
    found = measure(made, taps)
    first = first_convolution(tapped_layers(made, taps)).name
    backbone = Backbone(name, found, first, _three(mean), _three(std), licence, source)
    facts.registered.add(backbone)
    _own[name] = make
    return backbone


class Backbones(tuple[Backbone, ...]):
    """Rows of `backbones`; printing it shows the table.

    `parameters` are the backbone's down to its last tap. `UNet++` and `no stem` are multiply-accumulates at 256 x 256
    of a whole network of default widths that reads the taps down to reduction 16: with own rows from full resolution
    on, and with its first row at the first tap and the heads up-sampled.
    """

    def __str__(self) -> str:
        headings = ["backbone", "taps at", "channels", "parameters", "UNet++", "no stem", "licence of the weights"]
        return table(headings, map(_cells, self))

    __repr__ = __str__


def backbones() -> Backbones:
    """All backbones: their taps, and what they cost."""
    return Backbones(facts.every())


def _pyramid(model: keras.Model) -> list[str]:
    """The layers whose outputs a KerasHub backbone names P1, P2, ..; none for other models."""
    outputs = getattr(model, "pyramid_outputs", {})
    maker = {id(layer.output): layer.name for layer in model.layers}
    return [maker[id(outputs[level])] for level in sorted(outputs, key=lambda level: int(level[1:]))]


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def _cells(one: Backbone) -> list[str]:
    params = sum(tap.trained + tap.frozen + 3 * tap.image for tap in one.taps)
    depth = min(4, one.taps[-1].row)
    macs = [cost(Spec((256, 256, 3), backbone=one.name, depth=depth - shift, stem=not shift)).macs
            for shift in (0, min(one.taps[0].row, depth - 1))]  # fmt: skip
    reductions = f"{one.reductions[0]}..{one.reductions[-1]}"
    channels = ", ".join(str(tap.channels) for tap in one.taps)
    return [one.name, reductions, channels, f"{params:,}", *map(giga, macs), one.licence]
