"""Operations that take an image as a whole: to a few cells, whatever its sides, and back; as `spec.ops`.

What they learn of the whole image no reach counts, and pooling, as up-sampling, no multiply-accumulates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_unetpp.spec.facts import OneLayer, Operation, Pointwise, SameWidth, Weightless

AXIS = 3_900
"""Bytes in a .tflite file of what brings one axis to other sides."""


class GlobalPool(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """The mean of each channel over the whole image: one cell."""

    kind = "global_pool"

    def fixed(self, reads: Sequence[int]) -> int:
        """One cell."""
        return 1


@dataclass(frozen=True)
class BinPool(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """The means of each channel over windows that divide the image, as many along each axis for any image.

    Attributes:
        bins: windows along an axis. Of n cells, window i has those from floor(i n / bins) to ceil((i + 1) n / bins).
        rank: 2 for images, 3 for volumes.
    """

    bins: int
    rank: int
    kind = "bin_pool"

    @property
    def tflite(self) -> int:
        """Of each axis, operators that make its matrix, and the product."""
        return AXIS * self.rank

    def fixed(self, reads: Sequence[int]) -> int:
        """As many as there are windows."""
        return self.bins


@dataclass(frozen=True)
class Spread(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """The first tensor that it reads over the sides of the second; between centres their mean, the nearer the more.

    Attributes:
        rank: 2 for images, 3 for volumes.
    """

    rank: int
    kind = "spread"

    @property
    def tflite(self) -> int:
        """As of `BinPool`."""
        return AXIS * self.rank

    def fixed(self, reads: Sequence[int]) -> int:
        """Those of the second."""
        return reads[1]
