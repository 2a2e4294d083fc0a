"""`Budget`: what a network may cost, decided by closed form before anything is built. Standard library only."""

from dataclasses import dataclass, fields

from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.kit.json_files import LARGEST
from keras_unetpp.kit.validated import Validated, described, with_field_help
from keras_unetpp.spec.cost import cost
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.geometry import padded
from keras_unetpp.spec.levels import default_size
from keras_unetpp.tuning.tflite_bytes import tflite_bytes

MOST_SIDE = 2**20
"""Of the pixels at which costs are worked out."""

LATENCY = "latency"
"""The one limit that has no closed form; see `keras_unetpp.tuning.latency`."""


@dataclass(frozen=True)
class Budget(Validated):
    """Upper limits of a whole network with all its heads, batch 1, float32; None sets none. Each level costs less.

    Args:
        FIELDS

    >>> from keras_unetpp.tuning.budget import Budget
    >>> Budget(params=500_000).over(Spec.preset("unet++"))
    {'params': 9041700}
    """

    params: int | None = described(None, "all weights, those that training leaves alone too")
    macs: int | None = described(None, "multiply-accumulates at the size")
    weight_bytes: int | None = described(None, "bytes of the weights")
    tflite_bytes: int | None = described(None, "bytes of the .tflite file with all levels, by an upper bound")
    activation_bytes: int | None = described(None, "largest sum of layer outputs alive at once, in bytes, at the size")
    latency: float | None = described(None, "milliseconds at the size, measured on this machine")
    size: tuple[int, ...] | None = described(
        None, "sides in pixels at which costs hold; default those of the Spec, else 256, of volumes 64"
    )

    def __post_init__(self) -> None:
        if isinstance(self.size, list):
            object.__setattr__(self, "size", tuple(self.size))
        if isinstance(self.size, int):
            object.__setattr__(self, "size", (self.size,))
        for name, value in self.limits().items():
            kind = (int, float) if name == LATENCY else (int,)
            if type(value) not in kind or not 0 < value <= LARGEST:
                whole = "" if name == LATENCY else "whole "
                raise InputError(
                    f"Budget.{name} must be a positive {whole}number below 2^63. Received: {brief(value)}."
                )
        sides = self.size if isinstance(self.size, tuple) else (self.size,)
        if self.size is not None and any(type(side) is not int or not 0 < side <= MOST_SIDE for side in sides):
            raise InputError(
                f"Budget.size must be positive whole numbers up to {MOST_SIDE:,}, one a side. Received:"
                f" {brief(self.size)}."
            )

    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        every = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "size"}
        return {name: value for name, value in every.items() if value is not None}

    def sides(self, spec: Spec) -> tuple[int, ...]:
        """The sides at which the costs of a Spec hold: `size`, padded to what the network takes.

        Raises:
            InputError: if there are fewer or more sides than the Spec has; one number stands for all.
        """
        if self.size is None:
            return default_size(spec)
        size = self.size * spec.rank if len(self.size) == 1 else self.size
        if len(size) != spec.rank:
            raise InputError(f"Budget.size needs {spec.rank} sides. Received: {self.size}.")
        return padded(size, spec.divisors)

    def spent(self, spec: Spec) -> dict[str, int]:
        """What a network costs, for each limit that is set and has a closed form."""
        limits = self.limits()
        whole = cost(spec, size=self.sides(spec))
        return {
            name: tflite_bytes(spec) if name == "tflite_bytes" else getattr(whole, name)
            for name in limits
            if name != LATENCY
        }

    def over(self, spec: Spec) -> dict[str, int]:
        """What a network costs, for each limit with a closed form that it breaks; empty if it fits."""
        limits = self.limits()
        return {name: value for name, value in self.spent(spec).items() if value > limits[name]}

    def fits(self, spec: Spec) -> bool:
        """Whether a network keeps all limits that have a closed form."""
        return not self.over(spec)


with_field_help(Budget)
