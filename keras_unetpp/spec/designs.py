"""Tables of how a network is put together: what stands in a node, on the way down, before and after the network.

The way up is `spec.ups`, where tensors meet `spec.merges`, what weighs them `spec.attention`.

A row says in words what it is and where it comes from, and writes its operations. Another variant is another row, and
at most one operation with its facts (`spec.ops`) and its maker (`graph.layers`): Spec, command line, search, plan,
cost, pruning and export take it from here.
"""

from collections.abc import Callable
from typing import NamedTuple

from keras_unetpp.spec import blocks
from keras_unetpp.spec.choices import BOTH, Choices
from keras_unetpp.spec.facts import Sides
from keras_unetpp.spec.forms import Form
from keras_unetpp.spec.ops import Affine, AveragePool, Conv, MaxPool, Rescale, Standardize
from keras_unetpp.spec.resampling import L2Pool, MaxPlace
from keras_unetpp.spec.rows import Writer
from keras_unetpp.spec.ups import PLACE, UPS

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
        attends: it writes `attention` itself, before its sum; else that stands at its end.
    """

    text: str
    source: str
    write: Callable[[Writer, Form], None]
    ranks: tuple[int, ...] = BOTH
    multiple: int = 1
    normalizes_input: bool = False
    normalizes: str | None = None
    divides: str | None = None
    attends: bool = False


BLOCKS: Choices[Block] = Choices(
    conv=Block("convolution, normalisation, activation, twice", RONNEBERGER, blocks.conv),
    preact=Block("normalisation, activation, convolution, twice", PREACTIVATION, blocks.preact, normalizes_input=True),
    residual=Block(
        "as conv, with what it is given added before the last activation",
        "He et al., CVPR 2016; Quan et al., FusionNet, arXiv:1612.05360",
        blocks.residual,
        attends=True,
    ),
    separable=Block("as conv, of depthwise and 1x1 convolutions", "Chollet, CVPR 2017", blocks.separable, ranks=(2,)),
    inverted=Block(
        "1x1 convolution to six times the channels, depthwise, 1x1 to the width, sum where widths agree",
        "Sandler et al., CVPR 2018",
        blocks.inverted,
        ranks=(2,),
        normalizes_input=True,
        attends=True,
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
        attends=True,
    ),
    **{"pass": Block("nothing, but for a 1x1 convolution where the width would be another", LONG, blocks.passed)},
)
"""`Spec.block` and `Spec.decoder_block`: what a node does with the tensor that it is given.

Written on (writer, width of the node), and `attention` after it; as many layers as `Writer.steps` says;
`Writer.dropout` stands before the last convolution, in a dense one after each.
"""


def _max(writer: Writer, strides: Sides) -> None:
    given = writer.tip
    pooled = writer.add("pool", MaxPool(strides))
    if UPS[writer.chosen.up].down == writer.chosen.down:
        writer.add(PLACE, MaxPlace(strides), [given])
        writer.tip = pooled


def _average(writer: Writer, strides: Sides) -> None:
    writer.add("pool", AveragePool(strides))


def _l2(writer: Writer, strides: Sides) -> None:
    writer.add("pool", L2Pool(strides))


def _strided(writer: Writer, strides: Sides) -> None:
    writer.normed_conv("down", blocks.CONV_KERNEL, writer.channels(writer.tip), strides=strides)
    writer.norm_act("_down")


DOWNS: Choices[Design] = Choices(
    max=Design("max pooling", RONNEBERGER, _max),
    average=Design("average pooling", "LeCun et al., Proceedings of the IEEE 1998", _average),
    l2=Design("root of the mean of squares", "Sermanet et al., ICPR 2012", _l2),
    strided=Design(
        "convolution with strides, normalisation, activation, as wide as the row above", SPRINGENBERG, _strided
    ),
)
"""`Spec.down`: how a row is brought to the resolution of the row below. Written on (writer, strides by axis).

Where the resolution stays, so that all strides are 1, nothing is written.
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
