"""Operations that take an image as a whole: to a few cells, whatever its sides, and back; as `spec.ops`.

What they learn of the whole image no reach counts, and pooling, as up-sampling, no multiply-accumulates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_unetpp.spec.facts import OneLayer, Operation, Pointwise, SameWidth, Weightless


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
    """

    bins: int
    kind = "bin_pool"
    tflite = 9_000

    def fixed(self, reads: Sequence[int]) -> int:
        """As many as there are windows."""
        return self.bins


class Spread(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """The first tensor that it reads over the sides of the second: between the centres of cells their mean, the nearer
    the more."""

    kind = "spread"
    tflite = 9_000

    def fixed(self, reads: Sequence[int]) -> int:
        """Those of the second."""
        return reads[1]
