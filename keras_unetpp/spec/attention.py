"""Table of what weighs the channels, or the pixels, of what a block makes, by what is in them."""

from collections.abc import Callable
from typing import NamedTuple

from keras_unetpp.spec.activations import Activation
from keras_unetpp.spec.choices import BOTH, Choices
from keras_unetpp.spec.forms import constant, share
from keras_unetpp.spec.ops import Add, Conv, Multiply
from keras_unetpp.spec.rows import Writer
from keras_unetpp.spec.whole import GlobalPool


class Attention(NamedTuple):
    """A row of the table.

    Attributes:
        text: what it is.
        source: where it comes from.
        write: what writes it.
        ranks: for images (2), for volumes (3).
        divides: the field that must divide all filters.
    """

    text: str
    source: str
    write: Callable[[Writer, str], object]
    ranks: tuple[int, ...] = BOTH
    divides: str | None = None


def _none(writer: Writer, step: str) -> None:
    pass


def _channels(writer: Writer, step: str) -> str:
    """Each channel times sigmoid(expand(relu(reduce(mean over the image)))): two convolutions of one cell."""
    given, label = writer.tip, f"se{step}"
    width = writer.channels(given)
    writer.add(f"{label}_pool", GlobalPool())
    writer.add(f"{label}_reduce", Conv(1, bias=False), width=share(width, writer.chosen.squeeze_ratio))
    writer.add(f"{label}_relu", Activation("relu", 0))
    writer.add(f"{label}_expand", Conv(1, bias=False, initializer="glorot_uniform"), width=width)
    writer.add(f"{label}_sigmoid", Activation("sigmoid", 0))
    return writer.add(label, Multiply(), [given, writer.tip])


def _pixels(writer: Writer, step: str) -> str:
    """Each pixel times sigmoid(convolution of kernel 1 to one channel)."""
    given, label = writer.tip, f"sse{step}"
    one = constant(1, writer.channels(given))
    writer.add(f"{label}_conv", Conv(1, bias=False, initializer="glorot_uniform"), width=one)
    writer.add(f"{label}_sigmoid", Activation("sigmoid", 0))
    return writer.add(label, Multiply(), [given, writer.tip])


def _both(writer: Writer, step: str) -> None:
    given = writer.tip
    by_channel = _channels(writer, step)
    writer.tip = given
    writer.add(f"scse{step}", Add(), [by_channel, _pixels(writer, step)])


ATTENTIONS: Choices[Attention] = Choices(
    none=Attention("none", "Ronneberger et al., MICCAI 2015", _none),
    se=Attention(
        "squeeze and excitation: each channel weighted by the means of all, through 1 / squeeze_ratio of the width",
        "Hu et al., CVPR 2018",
        _channels,
        divides="squeeze_ratio",
    ),
    scse=Attention(
        "channels weighted as by se, plus pixels weighted by their channels",
        "Roy et al., MICCAI 2018",
        _both,
        divides="squeeze_ratio",
    ),
)
"""`Spec.attention`: how what a block makes is weighted. Written on (writer, step of the block).

It stands at the end of a block, in those that add what they are given before that sum, as the paper has it.
"""


def attend(writer: Writer, step: str = "") -> None:
    """Attention, as the Spec chose it, of the row just written."""
    ATTENTIONS[writer.chosen.attention].write(writer, step)
