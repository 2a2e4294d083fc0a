"""Table of what the lowest node adds to its block: a view of the whole image, or far around each pixel."""

from collections.abc import Callable
from typing import NamedTuple

from keras_unetpp.spec.blocks import CONV_KERNEL
from keras_unetpp.spec.choices import BOTH, Choices
from keras_unetpp.spec.forms import Form, share
from keras_unetpp.spec.ops import Concat
from keras_unetpp.spec.rows import Writer
from keras_unetpp.spec.whole import BinPool, GlobalPool, Spread

BINS = (1, 2, 3, 6)
"""Of a pyramid of pooling: windows along an axis."""

RATES = (6, 12, 18)
"""Of a pyramid of dilated convolutions."""

NARROWS = 4
"""Width over that of what a pyramid of pooling adds for each number of bins."""


class Context(NamedTuple):
    """A row of the table.

    Attributes:
        text: what it is.
        source: where it comes from.
        write: what writes it.
        ranks: for images (2), for volumes (3).
        narrows: width of the node over that of what it makes of the pooled image, which it normalises; 0: it has none.
    """

    text: str
    source: str
    write: Callable[[Writer, Form], None]
    ranks: tuple[int, ...] = BOTH
    narrows: int = 0


def _none(writer: Writer, width: Form) -> None:
    pass


def _branch(writer: Writer, label: str, kernel: int, width: Form, dilation: int = 1) -> str:
    """Convolution, normalisation, activation of the row just written."""
    writer.normed_conv(f"{label}_conv", kernel, width, dilation=dilation)
    writer.norm_act(f"_{label}")
    return writer.tip


def _pyramid_pooling(writer: Writer, width: Form) -> None:
    given, parts = writer.tip, [writer.tip]
    for bins in BINS:
        label = f"context{bins}"
        writer.add(f"{label}_pool", BinPool(bins, writer.chosen.rank), [given])
        found = _branch(writer, label, 1, share(width, NARROWS))
        parts.append(writer.add(label, Spread(writer.chosen.rank), [found, given]))
    writer.add("context_concat", Concat(), parts)
    _branch(writer, "context", CONV_KERNEL, width)


def _atrous_pyramid(writer: Writer, width: Form) -> None:
    given = writer.tip
    parts = [_branch(writer, "context1", 1, width)]
    for rate in RATES:
        writer.tip = given
        parts.append(_branch(writer, f"context{rate}", CONV_KERNEL, width, rate))
    writer.add("context_whole_pool", GlobalPool(), [given])
    found = _branch(writer, "context_whole", 1, width)
    parts.append(writer.add("context_whole", Spread(writer.chosen.rank), [found, given]))
    writer.add("context_concat", Concat(), parts)
    _branch(writer, "context", 1, width)


CONTEXTS: Choices[Context] = Choices(
    none=Context("none", "Ronneberger et al., MICCAI 2015", _none),
    pyramid_pooling=Context(
        f"means over {', '.join(map(str, BINS))} bins a side, each convolved to a quarter of the width, beside what is"
        " given; convolution to the width",
        "Zhao et al., PSPNet, CVPR 2017",
        _pyramid_pooling,
        narrows=NARROWS,
    ),
    atrous_pyramid=Context(
        f"1x1 convolution, three of dilation {', '.join(map(str, RATES))}, and the mean of the image, side by side; 1x1"
        " convolution to the width",
        "Chen et al., DeepLab v3, arXiv:1706.05587",
        _atrous_pyramid,
        narrows=1,
    ),
)
"""`Spec.context`: what follows the block, or the backbone's tap, of the lowest node.

Written on (writer, width of the node). All convolutions have normalisation and activation after them. Batch
normalisation of the pooled image's single cells learns from batches of several images alone.
"""
