"""What a model trains and is scored on, whatever gives it: targets looked at, class weights made those of pixels."""

import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_unetpp.errors import InputError, InputWarning
from keras_unetpp.masks import check_targets, check_weights, class_weight_of_pixels, doubt

STOCK = ("binarycrossentropy", "binaryfocalcrossentropy", "categoricalcrossentropy", "categoricalfocalcrossentropy",
         "sparsecategoricalcrossentropy", "dice", "tversky")  # fmt: skip
"""Losses of Keras that read y as those of this package do, by class or function, without underscores."""


class Reading(NamedTuple):
    """How a head reads y.

    Attributes:
        classes: of its prediction.
        rank: number of sides.
        exclusive: a pixel is of one class only.
        ignore_index: the value of pixels to leave out.
        known: whether its loss reads labels; another may want anything.
    """

    classes: int
    rank: int
    exclusive: bool
    ignore_index: int | None
    known: bool


def reading(output: Any, loss: Any) -> Reading:
    """How a head, given its output (batch, *sides, classes) and its loss as `compile` took it, reads y."""
    loss = loss[0] if isinstance(loss, (list, tuple)) and len(loss) == 1 else loss
    own = hasattr(loss, "ignore_index") and hasattr(loss, "multi_label")
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    stock = name.replace("_", "").lower()
    return Reading(
        classes=int(output.shape[-1]),
        rank=len(output.shape) - 2,
        exclusive=not loss.multi_label if own else not stock.startswith("binary"),
        ignore_index=loss.ignore_index if own else getattr(loss, "ignore_class", None),
        known=own or stock in STOCK,
    )


class Feed:
    """Passes on what `fit` and `evaluate` are given, once it has been looked at.

    Arrays are looked at as a whole, before anything else happens; data sets and generators batch by batch, as they
    give them, which no compiled step can do. Nothing is read twice or before its time. Kinds of data that Keras takes
    and that are not named here pass as they are.

    Args:
        readings: of each head by name; one without a name, "", for a model whose output is no dict.
        class_weight: as `keras.Model.fit` takes it.

    Raises:
        InputError: weights of classes that do not fit.
    """

    def __init__(self, readings: Mapping[str, Reading], class_weight: Mapping[int, float] | None = None) -> None:
        self.readings = dict(readings)
        self.class_weight = class_weight and {int(k): float(weight) for k, weight in class_weight.items()}
        self.error: InputError | None = None
        if self.class_weight:
            for one in self.readings.values():
                _check_class_weight(self.class_weight, one)

    def __call__(self, x: Any, y: Any, sample_weight: Any, doubts: bool = False) -> tuple[Any, Any, Any]:
        """x, y and sample_weight to hand to Keras; `doubts`: warn of what is odd about arrays, though it can be."""
        if y is not None:
            if doubts:
                self._tell_doubts(y)
            return x, y, self.look(y, sample_weight)
        if isinstance(x, keras.utils.PyDataset):
            return _Watched(x, self._batch), y, sample_weight
        if isinstance(x, types.GeneratorType):
            return _again(x, self._batch), y, sample_weight
        if "tensorflow" in sys.modules and isinstance(x, sys.modules["tensorflow"].data.Dataset):
            return self._mapped(x), y, sample_weight
        if self.class_weight:
            raise InputError(
                f"class_weight needs arrays, a tf.data.Dataset, a PyDataset or a generator. Received: {type(x)}. Give"
                " the loss class_weights instead."
            )
        return x, y, sample_weight

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

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Raise what was found in a batch as it was, where Keras or TensorFlow wrap it in an error of theirs."""
        try:
            yield
        except Exception:
            if self.error is not None:
                raise self.error from None
            raise

    def _look(self, y: Any, weight: Any, readings: list[Reading]) -> Any:
        labels, weights = _array(y), _array(weight)
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

    def _batch(self, batch: Any) -> Any:
        """One batch, (x, y) or (x, y, sample_weight), looked at; other structures pass."""
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3) or batch[1] is None:
            return batch
        before = batch[2] if len(batch) == 3 else None
        try:
            weight = self.look(batch[1], before)
        except InputError as error:
            self.error = error
            raise
        return batch if weight is before else (*batch[:2], weight)

    def _mapped(self, dataset: Any) -> Any:
        """A `tf.data.Dataset` whose batches are looked at on their way, outside of what TensorFlow compiles."""
        import tensorflow as tf

        spec = dataset.element_spec
        parts = list(spec[1:]) if isinstance(spec, tuple) and len(spec) in (2, 3) else []
        if not parts or not all(isinstance(one, tf.TensorSpec) for one in tf.nest.flatten(parts)):
            return dataset

        count = len(tf.nest.flatten(parts[0])) if self.class_weight else 1

        def look(*arrays: Any) -> Any:
            y, *rest = tf.nest.pack_sequence_as(parts, list(arrays))
            batch = self._batch((None, y, *rest))
            return tf.nest.flatten(batch[2]) if self.class_weight else [np.float32(0)]

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
        def one_batch(x: Any, *rest: Any) -> Any:
            found = tf.numpy_function(look, tf.nest.flatten(list(rest)), [tf.float32] * count)
            with tf.control_dependencies(found):
                y = tf.nest.map_structure(tf.identity, rest[0])
            if not self.class_weight:
                return (x, y, *rest[1:])
            rank = next(iter(self.readings.values())).rank
            for weight, labels in zip(found, tf.nest.flatten(y), strict=True):
                weight.set_shape((*labels.shape[: rank + 1], 1))
            return x, y, tf.nest.pack_sequence_as(y, found)

        return dataset.map(one_batch)

    def _tell_doubts(self, y: Any) -> None:
        pairs = [(y[name], self.readings[name]) for name in y if name in self.readings] if isinstance(y, Mapping) else [
            (y, one) for one in dict.fromkeys(self.readings.values())]  # fmt: skip
        for part, one in pairs:
            labels = _array(part)
            text = None if labels is None or not one.known else doubt(
                labels, one.classes, rank=one.rank, exclusive=one.exclusive, ignore_index=one.ignore_index)  # fmt: skip
            if text:
                warnings.warn(text, InputWarning, stacklevel=4)
                return


class _Watched(keras.utils.PyDataset):
    """Another data set, each batch of which is looked at."""

    def __init__(self, dataset: keras.utils.PyDataset, look: Callable[[Any], Any]) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.dataset, self.look = dataset, look

    @property
    def num_batches(self) -> int | None:
        return self.dataset.num_batches

    def __getitem__(self, index: int) -> Any:
        return self.look(self.dataset[index])

    def on_epoch_begin(self) -> None:
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.dataset.on_epoch_end()


def _again(generator: Iterator[Any], look: Callable[[Any], Any]) -> Iterator[Any]:
    """What a generator gives, looked at; unlike `yield from`, this does not close it when it is dropped."""
    for batch in generator:
        yield look(batch)


def _array(values: Any) -> np.ndarray | None:
    """An array or tensor in NumPy; None for anything else, which Keras judges."""
    if isinstance(values, np.ndarray) or values is None:
        return values
    if keras.ops.is_tensor(values):
        return keras.ops.convert_to_numpy(values)
    return np.asarray(values) if hasattr(values, "__array__") and hasattr(values, "shape") else None


def _of_pixels(weight: np.ndarray, y: np.ndarray, rank: int) -> bool:
    """Whether weights are those of pixels, (batch, *sides) or (batch, *sides, 1)."""
    return weight.shape in (y.shape[: rank + 1], (*y.shape[: rank + 1], 1))


def _check_class_weight(class_weight: Mapping[int, float], one: Reading) -> None:
    ids = max(one.classes, 2)
    if one.classes > 1 and not one.exclusive:
        raise InputError(
            "class_weight is for classes that exclude each other. Received: a model whose classes overlap. Give its"
            " loss class_weights instead."
        )
    if any(k not in range(ids) or not isinstance(w, Real) or not 0 <= w < np.inf for k, w in class_weight.items()):
        raise InputError(
            f"class_weight must map ids 0..{ids - 1} to finite weights of at least 0"
            f"{', 0 for background and 1 for foreground' if one.classes == 1 else ''}. Received: {dict(class_weight)}."
        )
