"""What an operation states about itself, and the answers that many of them share.

A fact has no default: an operation has it from one of the base classes here, by name, or states its own, and a class
that leaves one out cannot be defined.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keras_unetpp.spec.forms import Form, Term, constant, linear, scaled, total

Sides = tuple[int, ...]
"""A number for each axis, such as strides."""

Span = tuple[int, int]
"""First and last cell along an axis."""


class Site(NamedTuple):
    """Where an operation stands in a network.

    Cells are pixels of a row for one pixel of the network's lowest row; of rows of fixed sides, for an image.

    Attributes:
        rank: 2 for images, 3 for volumes.
        reads: channels of each tensor that it reads.
        makes: channels of each of its outputs.
        read_cells: of what it reads.
        cells: of its outputs.
        per_image: whether its outputs have fixed sides, so that its cells are those for an image.
    """

    rank: int
    reads: Sequence[Form]
    makes: Sequence[Form]
    read_cells: int
    cells: int
    per_image: bool = False


@dataclass(frozen=True)
class Operation:
    """What one layer does; equal by value. Subclasses state every fact below."""

    def __init_subclass__(cls) -> None:
        names = dict.fromkeys((*FACTS, *dir(cls)))
        missing = [name for name in names if getattr(getattr(cls, name), "__isabstractmethod__", False)]
        if missing:
            raise TypeError(f"An operation states all its facts. {cls.__name__} lacks: {', '.join(missing)}.")
        OPERATIONS.append(cls)

    @property
    @abstractmethod
    def kind(self) -> str:
        """What plans call it."""

    @abstractmethod
    def channels(self, reads: Sequence[Form], width: Form | None) -> Sequence[Form]:
        """Channels of each output, from those of what it reads and the width that was asked for."""

    @abstractmethod
    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """How often each axis of its outputs was halved, from the same of what it reads.

        Of fixed sides: of what was pooled, since they stand for the image at that resolution.
        """

    @abstractmethod
    def fixed(self, reads: Sequence[int]) -> int:
        """The side of its outputs where it is the same for any image, from the same of what it reads; 0: it grows."""

    @abstractmethod
    def reach(self, cell: int, axis: int) -> Span:
        """The cells of what it reads, or pixels of the image if `of_image`, that a cell of its outputs depends on.

        What is learned from the whole image is not counted, so that cells of fixed sides count as those of what was
        pooled.
        """

    @property
    @abstractmethod
    def of_image(self) -> bool:
        """Whether its reach is counted in pixels of the image, whatever it reads."""

    @abstractmethod
    def trained(self, site: Site) -> Iterable[Term]:
        """Parameters that training changes."""

    @abstractmethod
    def frozen(self, site: Site) -> Iterable[Term]:
        """Parameters that training does not change."""

    @abstractmethod
    def macs(self, site: Site) -> Iterable[Term]:
        """Multiply-accumulates for a pixel of the lowest row; of fixed sides, for an image."""

    @abstractmethod
    def image_macs(self, site: Site) -> Iterable[Term]:
        """Multiply-accumulates for an image, whatever its size, besides."""

    @abstractmethod
    def made(self, site: Site) -> Form:
        """Values that it makes, all of which training keeps, for a pixel of the lowest row or an image, as `macs`."""

    @abstractmethod
    def inside(self, site: Site) -> Form:
        """Most values alive at once within it, its outputs aside, for a pixel of the lowest row or an image."""

    @property
    @abstractmethod
    def layers(self) -> int:
        """How many layers it is."""

    @property
    @abstractmethod
    def tflite(self) -> int:
        """Bytes in a .tflite file, its weights and those of any layer aside."""

    @abstractmethod
    def tflite_values(self, site: Site) -> Iterable[Term]:
        """Values that a .tflite file stores besides its parameters."""

    @property
    @abstractmethod
    def absorbs(self) -> bool:
        """Whether a .tflite file has a batch normalisation that reads it in its weights."""

    @property
    @abstractmethod
    def absorbed(self) -> bool:
        """Whether a .tflite file has it in the weights of what it reads."""


FACTS = tuple(name for name, fact in vars(Operation).items() if getattr(fact, "__isabstractmethod__", False))
"""Names of the facts."""

OPERATIONS: list[type[Operation]] = []
"""All classes of operations."""


class SameWidth:
    """One output, as wide as what it reads."""

    def channels(self, reads: Sequence[Form], width: Form | None) -> Sequence[Form]:
        """Those of the first that it reads."""
        return (reads[0],)


class AskedWidth:
    """One output, as wide as was asked for."""

    def channels(self, reads: Sequence[Form], width: Form | None) -> Sequence[Form]:
        """The width."""
        if width is None:
            raise ValueError(f"{self} needs a width.")
        return (width,)


def growing(operation: object, reads: Sequence[int]) -> int:
    """The side of outputs that grow with the image, which are made of such: none that is fixed."""
    if any(reads):
        raise ValueError(f"{operation} reads rows of fixed sides: {list(reads)}.")
    return 0


class Grows:
    """Outputs whose sides grow with the image, made of such."""

    def fixed(self, reads: Sequence[int]) -> int:
        """They are not."""
        return growing(self, reads)


class Pointwise:
    """An output pixel reads the pixels of its own place, at the same resolution."""

    of_image = False

    def fixed(self, reads: Sequence[int]) -> int:
        """Those of what it reads, which are all the same."""
        if any(other != reads[0] for other in reads):
            raise ValueError(f"{self} reads rows of different sides: {list(reads)}.")
        return reads[0]

    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """Those of what it reads, which are all the same."""
        if any(other != reads[0] for other in reads):
            raise ValueError(f"{self} reads rows of different resolution: {list(reads)}.")
        return reads[0]

    def reach(self, cell: int, axis: int) -> Span:
        """The cell itself."""
        return cell, cell


def divided(before: Sides, strides: Sides) -> Sides:
    """Halvings of each axis once it was divided by its stride, a power of 2."""
    return tuple(times + stride.bit_length() - 1 for times, stride in zip(before, strides, strict=True))


def multiplied(before: Sides, strides: Sides) -> Sides:
    """Halvings of each axis once it was multiplied by its stride, a power of 2."""
    return tuple(times - stride.bit_length() + 1 for times, stride in zip(before, strides, strict=True))


class Weightless:
    """No parameters, and none of the multiply-accumulates that are counted: those of kernels."""

    def trained(self, site: Site) -> Iterable[Term]:
        """None."""
        return ()

    frozen = macs = image_macs = trained


@dataclass(frozen=True)
class _Strided(SameWidth, Grows, Weightless):
    strides: Sides
    of_image = False


class Divides(_Strided):
    """One pixel out of each block, without weights: sides are divided by the strides, one for each axis."""

    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """Once more for each factor of 2 in a stride."""
        return divided(reads[0], self.strides)

    def reach(self, cell: int, axis: int) -> Span:
        """The block."""
        return self.strides[axis] * cell, self.strides[axis] * (cell + 1) - 1


class Multiplies(_Strided):
    """A block out of each pixel, without weights: sides are multiplied by the strides, one for each axis."""

    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """Once less for each factor of 2 in a stride."""
        return multiplied(reads[0], self.strides)

    def reach(self, cell: int, axis: int) -> Span:
        """The pixel that the block is made of."""
        return cell // self.strides[axis], cell // self.strides[axis]


class Kernel:
    """A kernel and perhaps a bias, all trained; a .tflite file has a batch normalisation after it in these."""

    of_image = False
    absorbs = True
    bias = True

    @abstractmethod
    def weights(self, site: Site) -> Iterable[Term]:
        """Those of the kernel, along both axes or all three."""

    def trained(self, site: Site) -> Iterable[Term]:
        """The kernel, and the bias of each channel."""
        return (*self.weights(site), *(linear(site.makes[0]) if self.bias else ()))

    def frozen(self, site: Site) -> Iterable[Term]:
        """None."""
        return ()

    image_macs = frozen


class ScaleAndOffset(SameWidth, Pointwise):
    """A factor and an offset for each channel, as a normalisation has, and no multiply-accumulates that are counted."""

    def trained(self, site: Site) -> Iterable[Term]:
        """Both."""
        return linear(site.makes[0], 2)

    def frozen(self, site: Site) -> Iterable[Term]:
        """None."""
        return ()

    macs = image_macs = frozen


class OneLayer:
    """One layer, which makes its outputs and nothing else, and one operator in a .tflite file."""

    layers = 1
    absorbs = absorbed = False

    @property
    def tflite(self) -> int:
        """Nothing on top of what any layer takes."""
        return 0

    def tflite_values(self, site: Site) -> Iterable[Term]:
        """None."""
        return ()

    def made(self, site: Site) -> Form:
        """Its outputs."""
        return scaled(total(site.makes), site.cells)

    def inside(self, site: Site) -> Form:
        """Nothing."""
        return constant(0, site.makes[0])


class Pools(Divides, OneLayer):
    """One value out of those of each block, channel by channel."""

    @property
    def tflite(self) -> int:
        """Volumes are pooled as images, in several steps."""
        return 1_300 * (len(self.strides) > 2)
