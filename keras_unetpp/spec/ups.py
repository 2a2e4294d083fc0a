"""Table of the ways up: how a row is brought to the resolution of one above it, as the tables of `spec.designs`."""

import math
from collections.abc import Callable
from typing import NamedTuple

from keras_unetpp.spec.blocks import CONV_KERNEL
from keras_unetpp.spec.choices import BOTH, Choices
from keras_unetpp.spec.facts import Operation, Sides
from keras_unetpp.spec.forms import Form, scaled, share
from keras_unetpp.spec.geometry import joined
from keras_unetpp.spec.names import layer_name, node_name
from keras_unetpp.spec.ops import Bilinear, Conv, Nearest, TransposedConv
from keras_unetpp.spec.resampling import PixelShuffle, Unpool
from keras_unetpp.spec.rows import Writer

LONG = "Long et al., CVPR 2015"
PLACE = "place"
"""Name of the row that tells where max pooling found its values."""

NARROWING = 4
"""Of up-sampling through a bottleneck: channels that it is given, over those of its transposed convolution."""


class Up(NamedTuple):
    """A row of `UPS`: as `Design`, and what does the same to heads.

    Attributes:
        of_heads: strides by axis -> the operation, without weights, that brings heads to full resolution.
        to_width: it gives the width of the node, which a 1x1 convolution does where the resolution stays.
        down: the row of `DOWNS` that it undoes, from the places that this then tells of each block; None: any.
        multiple: what all widths must be multiples of.
    """

    text: str
    source: str
    write: Callable[[Writer, Sides, Form], None]
    of_heads: Callable[[Sides], Operation]
    ranks: tuple[int, ...] = BOTH
    to_width: bool = False
    down: str | None = None
    multiple: int = 1


def _transposed(writer: Writer, strides: Sides) -> TransposedConv:
    """Along an axis by more than 2 at once, with a kernel that is larger by as much; where the side stays, of 1."""
    kernels = (writer.chosen.up_kernel * stride // 2 if stride > 1 else 1 for stride in strides)
    return TransposedConv(joined(tuple(kernels)), strides)


def _transpose(writer: Writer, strides: Sides, width: Form) -> None:
    writer.add("up", _transposed(writer, strides), width=width)


def _nearest(writer: Writer, strides: Sides, width: Form) -> None:
    writer.add("up", Nearest(strides))


def _bilinear(writer: Writer, strides: Sides, width: Form) -> None:
    writer.add("up", Bilinear(strides))


def _pixel_shuffle(writer: Writer, strides: Sides, width: Form) -> None:
    """Of kernel 1 it would be the transposed convolution whose kernel is as long as its strides."""
    block = math.prod(strides)
    writer.add("up_conv", Conv(CONV_KERNEL, alike=block), width=scaled(width, block))
    writer.add("up", PixelShuffle(strides))


def _unpool(writer: Writer, strides: Sides, width: Form) -> None:
    """To the places of the encoder's pooling in the same row, whichever the column."""
    place = layer_name(node_name(writer.at_row + 1, 0), PLACE)
    writer.add("up_conv", Conv(1), width=writer.channels(place))
    writer.add("up", Unpool(strides), [writer.tip, place])


def _narrowed(writer: Writer, strides: Sides, width: Form) -> None:
    """The convolution stands where pixels are few."""
    writer.normed_conv("up_conv", 1, width)
    writer.norm_act("_up")
    writer.add("up", Bilinear(strides))


def _bottleneck(writer: Writer, strides: Sides, width: Form) -> None:
    inner = share(writer.channels(writer.tip), NARROWING)
    writer.normed_conv("up_reduce", 1, inner)
    writer.norm_act("_up_reduce")
    writer.add("up", _transposed(writer, strides), width=inner)
    writer.norm_act("_up")
    writer.normed_conv("up_expand", 1, width)
    writer.norm_act("_up_expand")


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
        "3x3 convolution, each block of pixels out of its channels, to the width of the node; else as transpose",
        "Shi et al., CVPR 2016; Aitken et al., arXiv:1707.02937",
        _pixel_shuffle,
        Bilinear,
        to_width=True,
    ),
    unpool=Up(
        "1x1 convolution to the encoder's width, each value at the place where max pooling found the encoder's",
        "Badrinarayanan et al., PAMI 2017",
        _unpool,
        Bilinear,
        to_width=True,
        down="max",
    ),
    narrowed=Up(
        "1x1 convolution to the width of the node, normalisation, activation, then bilinear interpolation",
        "Chen et al., ECCV 2018",
        _narrowed,
        Bilinear,
        ranks=(2,),
        to_width=True,
    ),
    bottleneck=Up(
        "1x1 convolution to a quarter, transposed convolution, 1x1 to the width of the node",
        "Chaurasia and Culurciello, VCIP 2017",
        _bottleneck,
        Bilinear,
        to_width=True,
        multiple=NARROWING,
    ),
)
"""`Spec.up`: how a row is brought to the resolution of a row above.

Written on (writer, strides by axis, width of the node that reads it). Where the resolution stays, nothing is written,
or what brings the width.
"""
