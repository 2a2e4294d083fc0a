"""Backbones: encoders that a Spec can name, as facts: where they are tapped, how wide, what they cost, whose they are.

What a backbone computes is `graph`'s affair. Here stand the numbers that a plan needs, measured once from the built
networks by `tools/measure_backbones.py` into `backbone_facts.json`; a test compares every one with real tensors.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from keras_unetpp.kit.errors import InputError, hint
from keras_unetpp.spec.backbone_table import BACKBONES

FACTS_FILE = "backbone_facts.json"
MAX_REDUCTION = 64


class Tap(NamedTuple):
    """Where a backbone is read, and what computing up to there adds to the taps before it.

    Counts are for a block of reduction x reduction pixels of the image, which is one pixel of the tap.

    Attributes:
        layer: whose output is read; its name in the backbone by itself.
        reduction: sides of the image over those of the tap, a power of 2.
        channels: of the tap.
        trained: parameters that training changes, without `image`'s.
        frozen: other parameters: moving averages.
        macs: multiply-accumulates a block, without `image`'s.
        fixed: multiply-accumulates an image, whatever its size: squeeze and excitation.
        image: parameters for each channel of the image: kernel of the first convolution; in the first tap only.
        image_macs: multiply-accumulates a block for each channel of the image.
        values: values of all layer outputs made.
        live: most values alive at once, the tap that is read aside, each output freed after its last reader.
        before: pixels of the image that a pixel of the tap sees before its block, along each side.
        after: pixels that it sees after its block.
        layers: that it adds.
    """

    layer: str
    reduction: int
    channels: int
    trained: int
    frozen: int
    macs: int
    fixed: int
    image: int
    image_macs: int
    values: int
    live: int
    before: int
    after: int
    layers: int

    @property
    def row(self) -> int:
        """log2 of the reduction."""
        return self.reduction.bit_length() - 1


@dataclass(frozen=True)
class Backbone:
    """One encoder.

    Attributes:
        name: what `Spec.backbone` says.
        taps: finest first; their reductions double from one to the next.
        first: name of the layer whose kernel reads the image.
        mean: of red, green and blue, in pixel values 0..255, as the weights' makers subtracted it.
        std: what they then divided by.
        licence: of the pretrained weights.
        source: the paper, and where the weights come from.
    """

    name: str
    taps: tuple[Tap, ...]
    first: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str
    source: str

    @property
    def reductions(self) -> tuple[int, ...]:
        """Of the taps, finest first."""
        return tuple(tap.reduction for tap in self.taps)


class Registry(dict[str, Backbone]):
    """The backbones that `register_backbone` added."""

    def add(self, backbone: Backbone) -> None:
        """Add one.

        Raises:
            InputError: the name is taken, or no name; the reductions do not double.
        """
        name = backbone.name
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"A backbone's name must be letters, digits and underscores. Received: {name!r}.")
        if name in names():
            raise InputError(f"There is a backbone {name!r} already. Choose another name.")
        wanted = tuple(backbone.reductions[0] * 2**step for step in range(len(backbone.taps)))
        if backbone.reductions != wanted or wanted[-1] > MAX_REDUCTION:
            raise InputError(
                f"The taps of a backbone must be at reductions that double, up to {MAX_REDUCTION}. Received:"
                f" {backbone.reductions} for {name!r}."
            )
        self[name] = backbone


registered = Registry()


def backbone(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        InputError: there is none; the text guesses which was meant.
    """
    if isinstance(name, str) and name in registered:
        return registered[name]
    if not isinstance(name, str) or name not in BACKBONES:
        raise InputError(
            f"Unknown backbone {name!r}.{hint(name, names())} keras_unetpp.backbones() lists them;"
            " register_backbone() adds your own."
        )
    return _shipped(name)


def names() -> tuple[str, ...]:
    """All names, those that ship first."""
    return (*BACKBONES, *registered)


def every() -> Iterator[Backbone]:
    """All backbones, in the order of `names`."""
    return map(backbone, names())


@cache
def _facts() -> dict[str, list[list[int]]]:
    from importlib import resources  # slow, and only backbones need it

    text = resources.files("keras_unetpp.spec").joinpath(FACTS_FILE).read_text(encoding="utf-8")
    facts: dict[str, Any] = json.loads(text)
    return facts


@cache
def _shipped(name: str) -> Backbone:
    row = BACKBONES[name]
    taps = tuple(Tap(layer, reduction, *numbers)
                 for (reduction, layer), numbers in zip(row.taps, _facts()[name], strict=True))  # fmt: skip
    return Backbone(name, taps, row.stem, row.mean, row.std, row.licence, row.paper)
