"""What a model trains, is scored and runs on, whatever gives it: images and targets looked at, and made to fit."""

import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np

from keras_unetpp.data.masks import check_targets, check_weights, class_weight_of_pixels, doubt
from keras_unetpp.graph.inputs import Inputs, array
from keras_unetpp.graph.readings import Reading
from keras_unetpp.graph.streams import Watched, again, mapped
from keras_unetpp.kit.errors import InputError, InputWarning, brief


class Feed:
    """Passes on what `fit`, `evaluate` and `predict` are given, once it has been looked at.

    Arrays are looked at as a whole, before anything else happens; data sets and generators batch by batch, as they
    give them, which no compiled step can do. Nothing is read twice or before its time. Kinds of data that Keras takes
    and that are not named here pass as they are. The range of values of a PyDataset is not judged if it says by an
    attribute `surveyed` that this was done by who made it.

    Attributes:
        error: what was found in a batch.
        late: whether `Teller` must raise it.

    Args:
        readings: of each head by name; one without a name, "", for a model whose output is no dict. None: targets, if
            there are any, do not matter.
        inputs: looks at the images.
        class_weight: as `keras.Model.fit` takes it.

    Raises:
        InputError: weights of classes that do not fit.
    """

    def __init__(self, readings: Mapping[str, Reading] | None, inputs: Inputs,
                 class_weight: Mapping[int, float] | None = None) -> None:  # fmt: skip
        self.readings, self.inputs = dict(readings or {}), inputs
        self.labels = readings is not None
        self.trained = [name for name, one in self.readings.items() if one.trained]
        if class_weight:
            for one in self.readings.values():
                _check_class_weight(class_weight, one)
        self.class_weight = class_weight and {int(k): float(weight) for k, weight in class_weight.items()}
        self.error: Exception | None = None
        self.late = False
        self._before: Any = None

    def __call__(self, x: Any, y: Any, sample_weight: Any, doubts: bool = False) -> tuple[Any, Any, Any]:
        """x, y and sample_weight to hand to Keras; `doubts`: warn of what is odd about arrays of y, though it can be.

        Warnings name the caller of who calls this.
        """
        quiet = keras.backend.backend() == "tensorflow"
        if isinstance(x, keras.utils.PyDataset):
            alone = x.use_multiprocessing and x.workers > 0  # what is found is in another process
            self.late = quiet and not alone
            self.inputs.judges = not getattr(x, "surveyed", False)
            return Watched(x, self.safe if self.late else self.batch), y, sample_weight
        if isinstance(x, types.GeneratorType):
            self.late = quiet
            return again(x, self.safe if quiet else self.batch), y, sample_weight
        if "tensorflow" in sys.modules and isinstance(x, sys.modules["tensorflow"].data.Dataset):
            return mapped(x, self), y, sample_weight
        given = self.inputs.one(x)
        if array(given[:0] if hasattr(given, "shape") and len(given.shape) else None) is None:
            if self.class_weight and y is None:
                raise InputError(
                    "class_weight needs arrays, a tf.data.Dataset, a PyDataset or a generator. Received:"
                    f" {type(x)}. Give the loss class_weights instead."
                )
            return x, y, sample_weight
        pixels = self.inputs(given)
        y = self.targets(y)
        _check_lengths(given, y, sample_weight)
        self.inputs.judge(given, stacklevel=4)
        if y is not None and self.labels:
            given, sample_weight = sample_weight, self.look(y, sample_weight)
            if doubts:
                self._tell_doubts(y, given)
        return pixels, y, sample_weight

    def targets(self, y: Any) -> Any:
        """y as Keras wants it: one array, or a dict of heads; a list is one in their order.

        Raises:
            InputError: it is missing, or is neither.
        """
        if not self.labels or (y is None and not self.trained):
            return y
        names = [name for name in self.readings if name]
        wanted = "y must be one array" + (f" for all heads, or one for each of {', '.join(names)}" if names else "")
        if y is None:
            raise InputError(f"{wanted}, since the model is compiled with a loss. Received: no y.")
        if isinstance(y, (list, tuple)):
            whole = len(y) == max(len(names), 1) and all(hasattr(one, "shape") for one in y)
            if not whole:
                raise InputError(
                    f"{wanted}. Received: a {type(y).__name__} of {len(y)}. np.stack(y) makes one array of the masks of"
                    " all images, np.array(y) of numbers."
                )
            return dict(zip(names, y, strict=True)) if names else y[0]
        if isinstance(y, Mapping):
            if not set(self.trained) <= set(y) <= set(names):
                by_name = ", by name" if names else ""
                raise InputError(f"{wanted}{by_name}. Received: a dict of {', '.join(map(str, y)) or 'nothing'}.")
            return y
        return y

    def look(self, y: Any, weight: Any = None) -> Any:
        """Check targets and weights of images or pixels; returns the weights, which may come from those of classes."""
        if self.class_weight and weight is not None:
            raise InputError("Pass class_weight or sample_weight, not both. Received: both. Multiply them yourself.")
        if isinstance(y, Mapping):
            parts = weight if isinstance(weight, Mapping) else dict.fromkeys(y, weight)
            found = {name: self._look(y[name], parts.get(name), [self.readings[name]]) for name in y
                     if name in self.readings}  # fmt: skip
            return found if self.class_weight else weight
        return self._look(y, weight, list(dict.fromkeys(self.readings.values())))

    def batch(self, batch: Any) -> Any:
        """One batch, x, (x,), (x, y) or (x, y, sample_weight), looked at and made to fit."""
        try:
            return self._batch(batch)
        except (InputError, InputWarning) as error:
            self.error = error
            raise

    def safe(self, batch: Any) -> Any:
        """The same, or, where a batch is refused, the one before it; then `Teller` must raise the error.

        TensorFlow prints all of what is raised where it reads on, besides.
        """
        if self.error is None or self._before is None:
            try:
                self._before = self.batch(batch)
            except (InputError, InputWarning):
                if self._before is None:
                    raise
        return self._before

    def refuses(self, x: Any, y: Any = None, weight: Any = None) -> tuple[bool, Any]:
        """Whether a batch must not be used, which `error` then tells, and, if not, its weights."""
        try:
            self.inputs.look(x)
            self.inputs.note(x)
            if y is None:
                return False, weight
            _check_lengths(x, y, weight)
            return False, self.look(y, weight)
        except (InputError, InputWarning) as error:
            self.error = error
            return True, None

    @property
    def reading(self) -> Reading:
        """That of the first head."""
        return next(iter(self.readings.values()))

    @contextmanager
    def telling(self, stacklevel: int = 5) -> Iterator[None]:
        """Raise what was found in a batch as it was, where Keras or TensorFlow wrap it in an error of theirs."""
        try:
            yield
        except Exception:
            if self.error is not None:
                raise self.error from None
            raise
        if self.error is not None:
            raise self.error
        self.inputs.tell(stacklevel)

    def _batch(self, batch: Any) -> Any:
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        if not 1 <= len(parts) <= 3:
            return batch  # Keras tells
        x, y, weight = (*parts, None, None)[:3]
        given = self.inputs.one(x)
        pixels = self.inputs(given)
        self.inputs.note(given)
        if not self.labels:
            return (pixels, *parts[1:])
        y = self.targets(y)
        if y is None:
            return (pixels, *parts[1:])
        _check_lengths(given, y, weight)
        weight = self.look(y, weight)
        return (pixels, y) if weight is None else (pixels, y, weight)

    def _look(self, y: Any, weight: Any, readings: list[Reading]) -> Any:
        labels, weights = array(y), array(weight)
        if weights is not None:
            check_weights(weights)
        if labels is None:
            return weight
        for one in readings:
            if one.known:
                of_pixels = weights if weights is not None and _of_pixels(weights, labels, one.rank) else None
                check_targets(labels, one.classes, rank=one.rank, ignore_index=one.ignore_index, weight=of_pixels)
        if self.class_weight:
            return class_weight_of_pixels(labels, self.class_weight, readings[0].classes, readings[0].rank)
        return weight

    def _tell_doubts(self, y: Any, weight: Any) -> None:
        pairs = [(name, self.readings[name]) for name in y if name in self.readings] if isinstance(y, Mapping) else [
            (None, one) for one in dict.fromkeys(self.readings.values())]  # fmt: skip
        for name, one in pairs:
            labels = array(y if name is None else y[name])
            weights = array(weight.get(name) if isinstance(weight, Mapping) else weight)
            if labels is None or not one.known:
                continue
            if weights is not None and not (weights.size == len(labels) or _of_pixels(weights, labels, one.rank)):
                return  # the loss refuses them
            text = doubt(
                labels, one.classes, rank=one.rank, exclusive=one.exclusive, ignore_index=one.ignore_index,
                weight=weights)  # fmt: skip
            if text:
                warnings.warn(text, InputWarning, stacklevel=4)
                return


def _of_pixels(weight: np.ndarray, y: np.ndarray, rank: int) -> bool:
    """Whether weights are those of pixels, (batch, *sides) or (batch, *sides, 1)."""
    return weight.shape in (y.shape[: rank + 1], (*y.shape[: rank + 1], 1))


def _check_lengths(x: Any, y: Any, weight: Any) -> None:
    """Raise `InputError` unless there are as many masks, and weights, as images."""
    for name, part in (("y", y), ("sample_weight", weight)):
        for one in keras.tree.flatten(part):
            count = (getattr(one, "shape", None) or (None,))[0]
            if count is not None and count != x.shape[0]:
                raise InputError(
                    f"x and {name} must be of the same length. Received: {x.shape[0]} images and {name} of {count}."
                )


def _check_class_weight(class_weight: Any, one: Reading) -> None:
    ids = max(one.classes, 2)
    if one.classes > 1 and not one.exclusive:
        raise InputError(
            "class_weight is for classes that exclude each other. Received: a model whose classes overlap. Give its"
            " loss class_weights instead."
        )
    if not isinstance(class_weight, Mapping) or not all(
        isinstance(k, Integral) and k in range(ids) and isinstance(w, Real) and 0 <= float(w) < np.inf
        for k, w in class_weight.items()
    ):
        raise InputError(
            f"class_weight must map ids 0..{ids - 1} to finite weights of at least 0"
            f"{', 0 for background and 1 for foreground' if one.classes == 1 else ''}. Received: {brief(class_weight)}."
        )
