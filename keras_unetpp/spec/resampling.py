"""Operations between rows of different resolution, beside the usual ones of `spec.ops`; as there."""

import math
from collections.abc import Sequence

from keras_unetpp.spec.facts import Multiplies, OneLayer, Operation
from keras_unetpp.spec.forms import Form, share


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
