"""What an exported file takes and gives, whatever its format; it lies in the file, so that the file tells it itself."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.level import MEAN
from keras_unetpp.spec.names import head_name
from keras_unetpp.spec.records import BEFORE

Sides = tuple[int | None, ...]

_LATER = ("rounds", "epsilon", "whole_views", "divisors")
"""Fields that files of the first version lack."""

LEVELS = 16
"""More than any network has."""
PIXELS = 2**29
"""More than an image of fixed sides has."""


@dataclass(frozen=True)
class Signature:
    """What a file takes and gives; made and checked by `functions.signature`.

    Attributes:
        levels: 1..d in order and, last, "mean"; each becomes a function of the file.
        sides: of the images, in pixels; None: any.
        input: "float32" or "uint8", pixel values 0..255; "image_bytes", encoded images.
        output: "probabilities", "mask" or "logits".
        channels: of the images.
        classes: channels of probabilities and logits.
        activation: "sigmoid" or "softmax": how probabilities follow from logits.
        divisor: what sides are padded to multiples of inside the file, pixels; of several, the largest.
        standardizes: the file normalises each image that it is given by that image's own mean and variance.
        bytes_per_pixel: memory that running it takes for each pixel of the input, about, in bytes.
        rounds: pixels become whole numbers 0..255 on their way in; files of the first version do not tell.
        epsilon: what is added to that variance.
        whole_views: what in the network sees the whole of what it is given; see `graph.views`.
        divisors: that of each side, where they are not all the same; files without it have one for all.
    """

    levels: tuple[int | str, ...]
    sides: Sides
    input: str
    output: str
    channels: int
    classes: int
    activation: str
    divisor: int = 1
    standardizes: bool = False
    bytes_per_pixel: float = 0.0
    rounds: bool = True
    epsilon: float = BEFORE["standardize_epsilon"]
    whole_views: tuple[str, ...] = ()
    divisors: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The levels as names of functions: `L1`.. and `mean`."""
        return tuple(head_name(level) for level in self.levels)

    @property
    def default(self) -> str:
        """The name of the deepest level, which a caller gets who asks for none."""
        return ([name for name in self.names if name != MEAN] or [MEAN])[-1]

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of a batch of images: (batch, *sides, channels)."""
        return (None, *self.sides, self.channels)

    @property
    def steps(self) -> tuple[int, ...]:
        """What each side is padded to multiples of inside the file, pixels."""
        return self.divisors or (self.divisor,) * len(self.sides)

    @property
    def exclusive(self) -> bool:
        """Whether a pixel is of one class only."""
        return self.activation == "softmax"

    def to_json(self) -> str:
        """The signature as JSON text; `from_json` is the inverse."""
        told = asdict(self)
        return json.dumps(told if self.divisors else {name: one for name, one in told.items() if name != "divisors"})

    @classmethod
    def from_json(cls, text: str) -> "Signature":
        """The signature that a file tells; what a later version adds is left out, what an earlier one lacks is default.

        Raises:
            InputError: the text is no such JSON, lacks a field, or tells what cannot be.
        """
        try:
            found = json.loads(text)
            told = {item.name: found[item.name] for item in fields(cls)
                    if item.name in found or item.name not in _LATER}  # fmt: skip
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"A file's signature must be JSON with all fields of Signature. Received: {text[:80]!r}."
                             " Export the model again.") from error  # fmt: skip
        for name, value in told.items():
            if not _FITS[name](value) or (name == "divisors" and len(value) not in (0, len(told["sides"]))):
                raise InputError(f"{name} of a file's signature does not fit. Received: {repr(value)[:80]}. Export"
                                 " the model again.")  # fmt: skip
        own: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in told.items()}
        return cls(**own)


def _whole(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _are_levels(value: Any) -> bool:
    known = isinstance(value, list) and all(_whole(one, LEVELS) or one == MEAN for one in value)
    return known and 0 < len(value) == len(set(value))


def _are_sides(value: Any) -> bool:
    known = isinstance(value, list) and all(one is None or _whole(one, PIXELS) for one in value)
    return known and len(value) in (2, 3) and math.prod(one or 1 for one in value) <= PIXELS


def _is_size(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


_FITS: dict[str, Callable[[Any], bool]] = {
    "levels": _are_levels,
    "sides": _are_sides,
    "input": ("float32", "uint8", "image_bytes").__contains__,
    "output": ("probabilities", "mask", "logits").__contains__,
    "channels": lambda value: _whole(value, 2**16),
    "classes": lambda value: _whole(value, 2**16),
    "activation": ("sigmoid", "softmax").__contains__,
    "divisor": lambda value: _whole(value, 2**LEVELS),
    "standardizes": lambda value: type(value) is bool,
    "bytes_per_pixel": _is_size,
    "rounds": lambda value: type(value) is bool,
    "epsilon": _is_size,
    "divisors": lambda value: isinstance(value, list) and all(_whole(one, 2**LEVELS) for one in value),
    "whole_views": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}
"""Field -> whether what a file tells can be so; a sent file may tell anything."""


def probabilities_of(values: np.ndarray, signature: Signature) -> np.ndarray:
    """What a file gives, (batch, *sides[, classes]), as probabilities (batch, *sides, classes) float32.

    Logits go through sigmoid or softmax; a mask becomes 0 and 1.
    """
    if signature.output == "mask":
        if signature.exclusive:
            return (values[..., None] == np.arange(signature.classes)).astype(np.float32)
        return (values[..., None] if signature.classes == 1 else values).astype(np.float32)
    if signature.output == "probabilities":
        return values
    logits = values.astype(np.float64)
    if not signature.exclusive:
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), np.float32)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)
