"""Tables of how a network is put together: what stands in a node, between rows, where tensors meet, and at the end.

A row says in words what it is and where it comes from, and writes its operations. Another variant is another row, and
at most one operation with its facts (`spec.ops`) and its maker (`graph.layers`): Spec, command line, search, plan,
cost, pruning and export take it from here.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras_unetpp.spec import blocks
from keras_unetpp.spec.activations import Activation
from keras_unetpp.spec.choices import BOTH, Choices
from keras_unetpp.spec.facts import Operation, Sides
from keras_unetpp.spec.forms import Form, constant, scaled
from keras_unetpp.spec.geometry import joined
from keras_unetpp.spec.ops import (
    Add,
    Affine,
    AveragePool,
    Bilinear,
    Concat,
    Conv,
    MaxPool,
    Multiply,
    Nearest,
    Rescale,
    Standardize,
    TransposedConv,
)
from keras_unetpp.spec.resampling import PixelShuffle
from keras_unetpp.spec.rows import Writer

NORMALIZATION = "normalization"
"""Name of the layer that normalises the pixels."""

RONNEBERGER, LONG = "Ronneberger et al., MICCAI 2015", "Long et al., CVPR 2015"
PREACTIVATION, SPRINGENBERG = "He et al., ECCV 2016", "Springenberg et al., ICLR 2015 workshops"


class Design(NamedTuple):
    """A row of a table.

    Attributes:
        text: what it is.
        source: where it comes from.
        write: what writes it; each table says on what.
        ranks: for images (2), for volumes (3).
    """

    text: str
    source: str
    write: Callable[..., None]
    ranks: tuple[int, ...] = BOTH


class Block(NamedTuple):
    """A row of `BLOCKS`: as `Design`, and what it needs of the widths.

    Attributes:
        multiple: what all filters must be multiples of.
        normalizes_input: it normalises the tensor that it is given, and not only tensors of the node's width.
        normalizes: the field that says how many channels it normalises besides, or adds to what it normalises.
        divides: the field that must divide all filters.
    """

    text: str
    source: str
    write: Callable[[Writer, Form], None]
    ranks: tuple[int, ...] = BOTH
    multiple: int = 1
    normalizes_input: bool = False
    normalizes: str | None = None
    divides: str | None = None


class Up(NamedTuple):
    """A row of `UPS`: as `Design`, and what does the same to heads.

    Attributes:
        of_heads: strides by axis -> the operation, without weights, that brings heads to full resolution.
        to_width: it gives the width of the row above, which a 1x1 convolution does where the resolution stays.
    """

    text: str
    source: str
    write: Callable[[Writer, Sides, Form], None]
    of_heads: Callable[[Sides], Operation]
    ranks: tuple[int, ...] = BOTH
    to_width: bool = False


BLOCKS: Choices[Block] = Choices(
    conv=Block("convolution, normalisation, activation, twice", RONNEBERGER, blocks.conv),
    preact=Block("normalisation, activation, convolution, twice", PREACTIVATION, blocks.preact, normalizes_input=True),
    residual=Block(
        "as conv, with what it is given added before the last activation",
        "He et al., CVPR 2016; Quan et al., FusionNet, arXiv:1612.05360",
        blocks.residual,
    ),
    separable=Block("as conv, of depthwise and 1x1 convolutions", "Chollet, CVPR 2017", blocks.separable, ranks=(2,)),
    inverted=Block(
        "1x1 convolution to six times the channels, depthwise, 1x1 to the width, sum where widths agree",
        "Sandler et al., CVPR 2018",
        blocks.inverted,
        ranks=(2,),
        normalizes_input=True,
    ),
    dense=Block(
        "normalisation, activation, convolution to growth_rate channels, four times, each of all before; then 1x1",
        "Jegou et al., CVPR 2017 workshops",
        blocks.dense,
        normalizes_input=True,
        normalizes="growth_rate",
    ),
    grouped=Block(
        "1x1 convolution, one in cardinality groups, 1x1, with what it is given added before the last activation",
        "Xie et al., CVPR 2017",
        blocks.grouped,
        divides="cardinality",
    ),
)
"""`Spec.block` and `Spec.decoder_block`: what a node does with the tensor that it is given.

Written on (writer, width of the node); as many layers as `Writer.steps` says; `Writer.dropout` stands before the last
convolution, in a dense one after each.
"""


def _max(writer: Writer, strides: Sides) -> None:
    writer.add("pool", MaxPool(strides))


def _average(writer: Writer, strides: Sides) -> None:
    writer.add("pool", AveragePool(strides))


def _strided(writer: Writer, strides: Sides) -> None:
    writer.normed_conv("down", blocks.CONV_KERNEL, writer.channels(writer.tip), strides=strides)
    writer.norm_act("_down")


DOWNS: Choices[Design] = Choices(
    max=Design("max pooling", RONNEBERGER, _max),
    average=Design("average pooling", "LeCun et al., Proceedings of the IEEE 1998", _average),
    strided=Design(
        "convolution with strides, normalisation, activation, as wide as the row above", SPRINGENBERG, _strided
    ),
)
"""`Spec.down`: how a row is brought to the resolution of the row below. Written on (writer, strides by axis).

Where the resolution stays, so that all strides are 1, nothing is written.
"""


def _transpose(writer: Writer, strides: Sides, width: Form) -> None:
    kernel = joined(tuple(writer.chosen.up_kernel if stride > 1 else 1 for stride in strides))
    writer.add("up", TransposedConv(kernel, strides), width=width)


def _nearest(writer: Writer, strides: Sides, width: Form) -> None:
    writer.add("up", Nearest(strides))


def _bilinear(writer: Writer, strides: Sides, width: Form) -> None:
    writer.add("up", Bilinear(strides))


def _pixel_shuffle(writer: Writer, strides: Sides, width: Form) -> None:
    """Of kernel 1 it would be the transposed convolution whose kernel is as long as its strides."""
    block = math.prod(strides)
    writer.add("up_conv", Conv(blocks.CONV_KERNEL, alike=block), width=scaled(width, block))
    writer.add("up", PixelShuffle(strides))


UPS: Choices[Up] = Choices(
    transpose=Up(
        "transposed convolution, to the width of the node; where the resolution stays, a 1x1 convolution",
        LONG,
        _transpose,
        Bilinear,
        to_width=True,
    ),
    nearest=Up("each pixel repeated", "Odena et al., Distill 2016", _nearest, Nearest),
    bilinear=Up("bilinear interpolation", LONG, _bilinear, Bilinear, ranks=(2,)),
    pixel_shuffle=Up(
        "3x3 convolution, each block of pixels out of its channels, to the width of the row above",
        "Shi et al., CVPR 2016; Aitken et al., arXiv:1707.02937",
        _pixel_shuffle,
        Bilinear,
        to_width=True,
    ),
)
"""`Spec.up`: how a row is brought to the resolution of the row above.

Written on (writer, strides by axis, width of the node that reads it). Where the resolution stays, nothing is written,
or what brings the width.
"""


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


MERGES: Choices[Design] = Choices(
    concat=Design("channels one after the other", RONNEBERGER, _concat),
    add=Design("sum, after 1x1 convolutions where widths differ", LONG, _add),
    none=Design("what comes from below alone", "Badrinarayanan et al., PAMI 2017", _below),
    gate=Design("skips weighted by attention gates, then as concat", "Oktay et al., MIDL 2018", _gate),
)
"""`Spec.merge`: how a node joins what comes from below with the skips of its row.

Written on (writer, names of what it joins, that from below first, width of the node).
"""


def _head(writer: Writer, classes: Form) -> None:
    kernel = writer.chosen.head_kernel
    writer.add("conv", Conv(kernel, initializer="glorot_uniform"), width=classes)


def _preact_head(writer: Writer, classes: Form) -> None:
    writer.norm_act()
    _head(writer, classes)


HEADS: Choices[Design] = Choices(
    conv=Design("convolution", RONNEBERGER, _head),
    preact=Design("normalisation, activation, convolution", PREACTIVATION, _preact_head),
)
"""`Spec.head`: what turns the last node of a level into one channel a class. Written on (writer, classes)."""


def _auto(writer: Writer) -> None:
    writer.put(NORMALIZATION, Rescale() if writer.chosen.backbone is None else Affine())


def _none(writer: Writer) -> None:
    pass


def _rescale(writer: Writer) -> None:
    writer.put(NORMALIZATION, Rescale())


def _standardize(writer: Writer) -> None:
    writer.put(NORMALIZATION, Standardize())
    if writer.chosen.backbone is not None:
        writer.put(f"{NORMALIZATION}_affine", Affine())


PIXELS: Choices[Design] = Choices(
    auto=Design("to the range that the backbone was trained on; without one, / 255", "the backbone's paper", _auto),
    none=Design("as they are", RONNEBERGER, _none),
    rescale=Design("/ 255", "LeCun et al., Efficient BackProp, 1998", _rescale),
    standardize=Design("each image to mean 0 and variance 1", "Isensee et al., Nature Methods 2021", _standardize),
)
"""`Spec.normalization`: what the network does to pixel values. Written on (writer)."""
