"""The operations that networks are made of, each with all its facts; no Keras in it.

A fact stands here and nowhere else: plans, costs, memory, receptive fields and the bound of a .tflite file are walks
and sums over rows that ask each row's operation. `graph.layers` has one maker for each class. What no fact depends on,
such as rates and epsilons, is not part of an operation: its maker takes that from the Spec.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keras_unetpp.spec.backbones import Tap
from keras_unetpp.spec.facts import (
    AskedWidth,
    Grows,
    Kernel,
    Multiplies,
    OneLayer,
    Operation,
    Pointwise,
    Pools,
    SameWidth,
    ScaleAndOffset,
    Sides,
    Site,
    Span,
    Weightless,
    divided,
    growing,
    multiplied,
)
from keras_unetpp.spec.forms import CHANNELS, ONE, Form, Term, constant, linear, product, share, total
from keras_unetpp.spec.geometry import ByAxis, along, volume


@dataclass(frozen=True)
class Input(AskedWidth, Grows, Weightless, OneLayer, Operation):
    """The image."""

    rank: int
    kind = "input"
    of_image = True

    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """None."""
        return (0,) * self.rank

    def reach(self, cell: int, axis: int) -> Span:
        """The pixel itself."""
        return cell, cell


class Rescale(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """Pixels 0..255 to 0..1."""

    kind = "rescale"


class Affine(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """Pixels to the range that the backbone was trained on."""

    kind = "affine"


class Standardize(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """Pixels less their mean over their standard deviation, both of the whole image, which no reach counts."""

    kind = "standardize"
    tflite = 1_900


@dataclass(frozen=True)
class Conv(Kernel, OneLayer, Operation):
    """A convolution, padded with zeros so that a side is divided by the stride and by nothing else.

    Attributes:
        kernel: side, or one for each axis.
        strides: by axis; empty: 1.
        dilation: step between the pixels of the kernel.
        groups: parts that channels are cut into, each with a convolution of its own.
        depthwise: a kernel for each channel by itself.
        bias: whether it adds one.
        initializer: of the kernel, by Keras' name; not of a depthwise one, whose variance is 1 / its size.
        alike: that many channels, one after the other, begin with the same kernel.
    """

    kernel: ByAxis
    strides: Sides = ()
    dilation: int = 1
    groups: int = 1
    depthwise: bool = False
    bias: bool = True
    initializer: str = "he_normal"
    alike: int = 1
    kind = "conv"

    def channels(self, reads: Sequence[Form], width: Form | None) -> Sequence[Form]:
        """The width asked for; depthwise, that of what it reads."""
        found = reads[0] if self.depthwise else width
        if found is None:
            raise ValueError(f"{self} needs a width.")
        return (found,)

    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """Once more for each factor of 2 in a stride."""
        return divided(reads[0], self.strides) if self.strides else reads[0]

    def fixed(self, reads: Sequence[int]) -> int:
        """Those of what it reads, which strides would change."""
        return growing(self, reads) if self.strides else reads[0]

    def reach(self, cell: int, axis: int) -> Span:
        """The kernel; of an odd number of zeros, one more stands behind."""
        stride, span = (self.strides[axis] if self.strides else 1), (along(self.kernel, axis) - 1) * self.dilation
        first = stride * cell - max(span + 1 - stride, 0) // 2
        return first, first + span

    def weights(self, site: Site) -> Iterable[Term]:
        """Those of the kernel."""
        if self.depthwise:
            return linear(site.makes[0], volume(self.kernel, site.rank))
        return product(site.reads[0], share(site.makes[0], self.groups), volume(self.kernel, site.rank))

    def macs(self, site: Site) -> Iterable[Term]:
        """The kernel once an output pixel."""
        return ((i, j, factor * site.cells) for i, j, factor in self.weights(site))

    @property
    def tflite(self) -> int:
        """A convolution for each group, and what cuts and joins them."""
        return 0 if self.groups == 1 else 600 + 300 * self.groups

    def tflite_values(self, site: Site) -> Iterable[Term]:
        """A bias of zeros in place of none."""
        return () if self.bias else linear(site.makes[0])


@dataclass(frozen=True)
class TransposedConv(AskedWidth, Grows, Kernel, OneLayer, Operation):
    """The adjoint of a convolution with strides.

    Attributes:
        kernel: side, at least the stride; or one for each axis.
        strides: by axis.
    """

    kernel: ByAxis
    strides: Sides
    kind = "transpose"

    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """Once less for each factor of 2 in a stride."""
        return multiplied(reads[0], self.strides)

    def reach(self, cell: int, axis: int) -> Span:
        """The adjoint of a convolution that pads kernel - stride in all, the smaller half first."""
        stride, kernel = self.strides[axis], along(self.kernel, axis)
        last = cell + max(kernel - stride, 0) // 2
        return -((kernel - 1 - last) // stride), last // stride

    def weights(self, site: Site) -> Iterable[Term]:
        """Those of the kernel."""
        return product(site.reads[0], site.makes[0], volume(self.kernel, site.rank))

    def macs(self, site: Site) -> Iterable[Term]:
        """The kernel once an input pixel."""
        return ((i, j, factor * site.read_cells) for i, j, factor in self.weights(site))


class BatchNorm(ScaleAndOffset, OneLayer, Operation):
    """Each channel by the mean and variance of the batch; in inference by moving averages of them."""

    kind = "batch"
    absorbed = True

    def frozen(self, site: Site) -> Iterable[Term]:
        """The moving averages of both."""
        return linear(site.makes[0], 2)


class GroupNorm(ScaleAndOffset, OneLayer, Operation):
    """Groups of channels, as many as the Spec says, each by its own mean and variance in the image."""

    kind = "group"
    tflite = 2_100


class InstanceNorm(ScaleAndOffset, OneLayer, Operation):
    """Each channel by its own mean and variance in the image."""

    kind = "instance"
    tflite = 2_000


class LayerNorm(ScaleAndOffset, OneLayer, Operation):
    """Each pixel by the mean and variance of its channels."""

    kind = "layer"
    tflite = 1_600


class Dropout(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """In training, values set to 0 at random, at the Spec's rate."""

    kind = "dropout"


class MaxPool(Pools, Operation):
    """The largest value of each block of pixels, whose sides are the strides."""

    kind = "max_pool"


class AveragePool(Pools, Operation):
    """The mean of each block of pixels, whose sides are the strides."""

    kind = "average_pool"


class Nearest(Multiplies, OneLayer, Operation):
    """Each pixel repeated."""

    kind = "nearest"


class Bilinear(Multiplies, OneLayer, Operation):
    """Between the centres of pixels, their mean, the nearer the more."""

    kind = "bilinear"

    def reach(self, cell: int, axis: int) -> Span:
        """The pixels whose centres are next to the cell's, on both sides."""
        centre, whole = 2 * cell + 1 - self.strides[axis], 2 * self.strides[axis]
        return centre // whole, -(-centre // whole)


class Concat(Pointwise, Weightless, OneLayer, Operation):
    """Channels of all that it reads, one after the other."""

    kind = "concat"

    def channels(self, reads: Sequence[Form], width: Form | None) -> Sequence[Form]:
        """Their sum."""
        return (total(reads),)


class _Together(Pointwise, Weightless, OneLayer):
    """One value out of those of the same place in all that it reads."""

    def channels(self, reads: Sequence[Form], width: Form | None) -> Sequence[Form]:
        """Those of each that it reads, which are all the same."""
        if any(other != reads[0] for other in reads):
            raise ValueError(f"{self} reads tensors of different width: {list(reads)}.")
        return (reads[0],)


class Add(_Together, Operation):
    """The sum."""

    kind = "add"


class Maximum(_Together, Operation):
    """The largest."""

    kind = "maximum"


class Multiply(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """The first tensor that it reads times the second, whose one channel, or one cell, counts for all."""

    kind = "multiply"

    def fixed(self, reads: Sequence[int]) -> int:
        """Those of the first."""
        return reads[0]


class Average(_Together, Operation):
    """The mean, in float32."""

    kind = "average"


class Output(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """The activation of a head, in float32: what the network gives."""

    kind = "output"


@dataclass(frozen=True)
class Backbone(AskedWidth, Grows, Operation):
    """What a tap adds of a backbone to the taps above it: many layers, whose facts were measured."""

    tap: Tap
    kind = "backbone"
    of_image = True
    absorbs = absorbed = False

    @property
    def tflite(self) -> int:
        """Normalisations of other kinds than by batches, and scales of layers, are several operators."""
        return 320 * self.tap.layers

    def tflite_values(self, site: Site) -> Iterable[Term]:
        """None that its layers do not leave room for."""
        return ()

    @property
    def layers(self) -> int:
        """As many as it adds."""
        return self.tap.layers

    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """Those of the tap, whatever it reads."""
        return (self.tap.row,) * len(reads[0])

    def reach(self, cell: int, axis: int) -> Span:
        """Its block of the image, and what it sees around it."""
        start = cell * self.tap.reduction
        return start - self.tap.before, start + self.tap.reduction - 1 + self.tap.after

    def trained(self, site: Site) -> Iterable[Term]:
        """Those of its layers; the first kernel has some for each channel of the image."""
        return (ONE, ONE, self.tap.trained), (ONE, CHANNELS, self.tap.image)

    def frozen(self, site: Site) -> Iterable[Term]:
        """Those of its layers."""
        return ((ONE, ONE, self.tap.frozen),)

    def macs(self, site: Site) -> Iterable[Term]:
        """Those of its layers."""
        return (ONE, ONE, self.tap.macs * site.cells), (ONE, CHANNELS, self.tap.image_macs * site.cells)

    def image_macs(self, site: Site) -> Iterable[Term]:
        """Those of squeeze and excitation."""
        return ((ONE, ONE, self.tap.fixed),)

    def made(self, site: Site) -> Form:
        """The outputs of its layers."""
        return constant(self.tap.values * site.cells, site.makes[0])

    def inside(self, site: Site) -> Form:
        """As its layers run one after the other."""
        return constant(self.tap.live * site.cells, site.makes[0])
