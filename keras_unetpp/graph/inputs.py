"""The images that `fit` and its like are given: checked, brought to 0..255 by their type, and told if they are odd."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_unetpp.data.pixels import Intake, Ranges, type_name
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.facts import Sides
from keras_unetpp.spec.geometry import check_sides

FIRST = 4
"""Batches of a data set or generator by which the range of its values is judged."""
_MOST, _FEWEST, _VALUES = 64, 4, 2**23
"""Images of an array by which it is judged, as many as hold about so many values together."""
_BLOCK = 2**22


@dataclass
class Inputs:
    """Looks at the images of one call.

    The range of values is judged over many images together, since crops of a dark image may be of 0 and 1 by right.

    Attributes:
        shape: (batch, *sides, channels) that the model takes; None: any.
        intake: what it makes of numbers.
        divisors: of each side.
        purpose: what the images are for, the start of what is told.
        told: what has been told in this call, shared by all that look.
        judges: whether the range of values is looked at.
    """

    shape: tuple[int | None, ...]
    intake: Intake
    divisors: Sides
    purpose: str
    told: list[str] = field(default_factory=list)
    judges: bool = True

    def __post_init__(self) -> None:
        self._kept: list[np.ndarray] = []
        self._batches = 0
        self._lock = threading.Lock()

    def one(self, x: Any) -> Any:
        """The one array or tensor that x is, alone or in what Keras takes for models of several inputs."""
        if isinstance(x, Mapping):
            if len(x) != 1:
                raise InputError(f"x must be one array. Received: a dict of {', '.join(map(str, x)) or 'nothing'}.")
            x = next(iter(x.values()))
        elif isinstance(x, (list, tuple)):
            if len(x) != 1 or len(getattr(x[0], "shape", ())) != len(self.shape):
                raise InputError(
                    f"x must be one array or tensor, {self._wanted()}. Received: a {type(x).__name__} of {len(x)}. Make"
                    " it one by np.stack(x), or np.array(x) of numbers."
                )
            x = x[0]
        return x

    def __call__(self, x: Any) -> Any:
        """Images as one array or tensor, which are checked, in a type that the network takes.

        Raises:
            InputError: another shape or type, or pixels that are not finite.
        """
        x = self.one(x)
        if not (hasattr(x, "shape") and hasattr(x, "dtype")):
            return x
        self.look(x)
        return self.scaled(x)

    def look(self, x: Any) -> None:
        """Raise `InputError` for images of another shape or type, or with pixels that are not finite."""
        self.check(x.shape, x.dtype)
        if type_name(x.dtype).startswith(("float", "bfloat")):
            self._check_finite(x)

    def check(self, shape: Any, dtype: Any) -> None:
        """Raise `InputError` for images of another shape or type; None in a shape: any."""
        found, rank = tuple(shape), len(self.shape) - 2
        lacks = self.shape[-1] == 1 and len(found) == rank + 1 and found[-1] != 1
        pixels = (*found, 1) if lacks else found
        if len(pixels) != rank + 2 or pixels[-1] not in (self.shape[-1], None) or 0 in pixels:
            way = "image[None], or .batch(1), makes a batch of one image. " if len(found) == rank + 1 else ""
            raise InputError(
                f"x must be {self._wanted()}. Received: {found}. {way}Add, drop or repeat channels to fit."
            )
        if any(None not in pair and pair[0] != pair[1] for pair in zip(pixels[1:-1], self.shape[1:-1], strict=True)):
            raise InputError(
                f"x must be {self._wanted()}. Received: {found}. Resize or crop it, or build the model with sides of"
                " None."
            )
        check_sides(pixels[1:-1], self.divisors)
        if not type_name(dtype).startswith(("bool", "uint", "int", "float", "bfloat")):
            raise InputError(f"x must hold real numbers. Received: dtype {type_name(dtype)}.")

    def scaled(self, x: Any) -> Any:
        """Images as the network takes them: as they are, or, where their type has another unit, in float32."""
        factor = np.float32(self.intake.factor(x.dtype))
        if factor == 1:
            return x
        if keras.ops.is_tensor(x):
            return keras.ops.cast(x, "float32") * factor
        return np.multiply(array(x), factor, dtype=np.float32)

    def judge(self, x: Any, stacklevel: int) -> None:
        """Tell what is odd about the values of an array, judged by images from all over it."""
        self._add(self.one(x), _VALUES)
        self.tell(stacklevel + 1)

    def note(self, x: Any) -> None:
        """Take in a batch; after some of them, tell what is odd."""
        if not self.judges or self._batches >= FIRST:
            return
        with self._lock:
            self._batches += 1
            self._add(self.one(x), _VALUES // FIRST)
            if self._batches == FIRST:
                self.tell(stacklevel=2)

    def tell(self, stacklevel: int) -> None:
        """Warn once a call, if what was taken in is odd; what was told before is forgotten."""
        images, self._kept = self._kept, []
        if not images or self.told:
            return
        same = len({one.shape[1:] for one in images}) == 1
        pixels = np.concatenate(images if same else [one.reshape(1, -1) for one in images], axis=0 if same else 1)
        found = self.intake.odd(pixels, several=same)
        if found is not None:
            self.told.append(found)
            ranges = Ranges(self.purpose)
            ranges.add(found)
            ranges.tell(stacklevel + 1)

    def _add(self, x: Any, values: int) -> None:
        count = len(x) if hasattr(x, "__len__") else 0
        if self.told or not count or len(getattr(x, "shape", ())) < 2:
            return
        some = min(_MOST, max(_FEWEST, values * count // max(int(np.prod(x.shape)), 1)), count)
        rows = np.unique(np.linspace(0, count - 1, some).astype(int))
        self._kept += [part for row in rows if (part := array(x[int(row) : int(row) + 1])) is not None]

    def _check_finite(self, x: Any) -> None:
        step = max(1, _BLOCK * x.shape[0] // max(int(np.prod(x.shape)), 1))
        for first in range(0, x.shape[0], step):
            part = array(x[first : first + step])
            with np.errstate(all="ignore"):
                total = part.sum(dtype=np.float32)
            if not np.isfinite(total) and not np.isfinite(part).all():
                raise InputError(
                    f"{self.purpose} must not hold NaN or infinite pixels. Replace them, for example by the mean."
                )

    def _wanted(self) -> str:
        sides = ("height, width", "depth, height, width")[len(self.shape) - 4]
        if any(self.shape[1:-1]):
            sides = ", ".join(name if side is None else str(side)
                              for name, side in zip(sides.split(", "), self.shape[1:-1], strict=True))  # fmt: skip
        return f"(batch, {sides}, {self.shape[-1]})"


def array(values: Any) -> Any:
    """An array or tensor of any library in NumPy, with numbers that NumPy knows; None for anything else."""
    if isinstance(values, np.ndarray) or values is None:
        return values
    if keras.ops.is_tensor(values):
        return _known(keras.ops.convert_to_numpy(values))
    if not (hasattr(values, "__array__") and hasattr(values, "shape")):
        return None
    if hasattr(values, "detach"):  # of PyTorch, on another back end
        values = values.detach().cpu()
        values = values.float() if "bfloat16" in str(values.dtype) else values
    return _known(np.asarray(values))


def _known(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) if type_name(values.dtype).startswith("bfloat") else values
