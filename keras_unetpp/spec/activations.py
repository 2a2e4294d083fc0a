"""Operations on each value by itself; as `spec.ops`."""

from collections.abc import Iterable
from dataclasses import dataclass

from keras_unetpp.spec.facts import OneLayer, Operation, Pointwise, SameWidth, Site, Weightless
from keras_unetpp.spec.forms import Term, linear


@dataclass(frozen=True)
class Activation(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """A function of each value.

    Attributes:
        function: its name in Keras.
        operators: bytes of those that it becomes in a .tflite file, where it is not part of another.
    """

    function: str
    operators: int
    kind = "activation"

    @property
    def tflite(self) -> int:
        """Its operators."""
        return self.operators


class LeakyRelu(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """Each value, or below 0 the Spec's slope times it."""

    kind = "activation"
    tflite = 950


class Slope(SameWidth, Pointwise, Weightless, OneLayer, Operation):
    """Each value times the Spec's slope."""

    kind = "slope"


class PRelu(SameWidth, Pointwise, OneLayer, Operation):
    """Each value, or below 0 a slope times it, which is trained, one for each channel."""

    kind = "activation"
    tflite = 950

    def trained(self, site: Site) -> Iterable[Term]:
        """The slopes."""
        return linear(site.makes[0])

    def frozen(self, site: Site) -> Iterable[Term]:
        """None."""
        return ()

    macs = image_macs = frozen
