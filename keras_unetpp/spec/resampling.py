"""Operations between rows of different resolution, beside the usual ones of `spec.ops`; as there."""

import math
from collections.abc import Sequence

from keras_unetpp.spec.facts import Divides, Multiplies, OneLayer, Operation, Pools, Sides
from keras_unetpp.spec.forms import Form, share


class L2Pool(Pools, Operation):
    """The square root of the mean of the squares of each block of pixels, whose sides are the strides."""

    kind = "l2_pool"

    @property
    def tflite(self) -> int:
        """Squares and roots besides."""
        return 500 + super().tflite


class MaxPlace(Divides, OneLayer, Operation):
    """Where in each block of pixels the largest value is, of several the first: 0, 1, .. in row-major order."""

    kind = "max_place"

    @property
    def tflite(self) -> int:
        """What compares each pixel of a block with the largest of those before it."""
        return 800 * math.prod(self.strides)


class Unpool(Multiplies, OneLayer, Operation):
    """Each pixel at a place of its block, which the second tensor that it reads names, and zeros around it."""

    kind = "unpool"

    def channels(self, reads: Sequence[Form], width: Form | None) -> Sequence[Form]:
        """Those of both, which are the same."""
        if reads[0] != reads[1]:
            raise ValueError(f"{self} reads values and places of different width: {list(reads)}.")
        return (reads[0],)

    def halvings(self, reads: Sequence[Sides]) -> Sides:
        """Once less for each factor of 2 in a stride."""
        if reads[0] != reads[1]:
            raise ValueError(f"{self} reads values and places of different resolution: {list(reads)}.")
        return super().halvings(reads)

    @property
    def tflite(self) -> int:
        """What puts each pixel at each place of a block, or zero, and joins these."""
        return 700 * math.prod(self.strides)


class PixelShuffle(Multiplies, OneLayer, Operation):
    """Each block of pixels out of the channels of one: as many to a channel as a block has, in row-major order."""

    kind = "pixel_shuffle"

    def channels(self, reads: Sequence[Form], width: Form | None) -> Sequence[Form]:
        """One for as many as a block has pixels."""
        return (share(reads[0], math.prod(self.strides)),)

    @property
    def tflite(self) -> int:
        """What cuts channels and joins pixels."""
        return 500 * math.prod(self.strides)
