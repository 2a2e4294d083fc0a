"""Table of how a node joins what comes from below with the skips of its row, as the tables of `spec.designs`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras_unetpp.spec.activations import Activation
from keras_unetpp.spec.blocks import residual_path
from keras_unetpp.spec.choices import BOTH, Choices
from keras_unetpp.spec.forms import Form, constant
from keras_unetpp.spec.ops import Add, Concat, Conv, Multiply
from keras_unetpp.spec.rows import Writer


class Merge(NamedTuple):
    """A row of `MERGES`: as `Design`, and whether skips are read at all.

    Attributes:
        skips: a node joins the skips of its row with what comes from below.
    """

    text: str
    source: str
    write: Callable[[Writer, Sequence[str], Form], None]
    ranks: tuple[int, ...] = BOTH
    skips: bool = True


def _concat(writer: Writer, parts: Sequence[str], width: Form) -> None:
    writer.add("concat", Concat(), parts)


def _add(writer: Writer, parts: Sequence[str], width: Form) -> None:
    fitted = [
        part if writer.channels(part) == width else writer.add(f"fit{number}", Conv(1), [part], width)
        for number, part in enumerate(parts)
    ]
    writer.add("sum", Add(), fitted)


def _below(writer: Writer, parts: Sequence[str], width: Form) -> None:
    writer.tip = parts[0]


def _gate(writer: Writer, parts: Sequence[str], width: Form) -> None:
    """Each skip times a map of 0..1 for each pixel, out of itself and of what comes from below.

    sigmoid(psi(relu(theta(skip) + phi(below)))), each of the three a convolution of kernel 1. Both stand at the row's
    resolution here, and not at that of the row below, so that nothing is up-sampled twice.
    """
    below, *skips = parts
    gated = []
    for number, skip in enumerate(skips, 1):
        label = f"gate{number}"
        theta = writer.add(f"{label}_theta", Conv(1, bias=False), [skip], width)
        phi = writer.add(f"{label}_phi", Conv(1), [below], width)
        writer.add(f"{label}_sum", Add(), [theta, phi])
        writer.add(f"{label}_relu", Activation("relu", 0))
        writer.add(f"{label}_psi", Conv(1, initializer="glorot_uniform"), width=constant(1, width))
        writer.add(f"{label}_sigmoid", Activation("sigmoid", 0))
        gated.append(writer.add(label, Multiply(), [skip, writer.tip]))
    writer.add("concat", Concat(), [below, *gated])


def _residual_path(writer: Writer, parts: Sequence[str], width: Form) -> None:
    below, *skips = parts
    paths = [residual_path(writer, skip, f"path{number}", width) for number, skip in enumerate(skips, 1)]
    writer.add("concat", Concat(), [below, *paths])


MERGES: Choices[Merge] = Choices(
    concat=Merge("channels one after the other", "Ronneberger et al., MICCAI 2015", _concat),
    add=Merge("sum, after 1x1 convolutions where widths differ", "Long et al., CVPR 2015", _add),
    none=Merge("what comes from below alone", "Badrinarayanan et al., PAMI 2017", _below, skips=False),
    gate=Merge("skips weighted by attention gates, then as concat", "Oktay et al., MIDL 2018", _gate),
    residual_path=Merge(
        "skips through 3x3 convolutions with 1x1 shortcuts, as many as the node's column, then as concat",
        "Ibtehaz and Rahman, Neural Networks 2020",
        _residual_path,
    ),
)
"""`Spec.merge`: how a node joins what comes from below with the skips of its row, if it has any.

Written on (writer, names of what it joins, that from below first, width of the node).
"""
