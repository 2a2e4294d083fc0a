"""Data that comes batch by batch, each batch of which is looked at on its way."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np


class Watched(keras.utils.PyDataset):
    """Another data set, each batch of which is looked at."""

    def __init__(self, dataset: keras.utils.PyDataset, look: Callable[[Any], Any]) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.dataset, self.look = dataset, look

    @property
    def num_batches(self) -> int | None:
        """That of the other."""
        return self.dataset.num_batches

    def __getitem__(self, index: int) -> Any:
        return self.look(self.dataset[index])

    def on_epoch_begin(self) -> None:
        """Tell the other."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell the other."""
        self.dataset.on_epoch_end()


def again(generator: Iterator[Any], look: Callable[[Any], Any]) -> Iterator[Any]:
    """What a generator gives, looked at; unlike `yield from`, this does not close it when it is dropped."""
    for batch in generator:
        yield look(batch)


class Teller(keras.callbacks.Callback):
    """Raises what feeds have found in batches, before the next step and before an epoch counts as done.

    It looks between steps only, where nothing waits for results. A feed is a `batches.Feed`, here and below.
    """

    def __init__(self, *feeds: Any) -> None:
        super().__init__()
        self.feeds = feeds

    def tell(self, *_: Any) -> None:
        """Raise the first error, if there is one."""
        for feed in self.feeds:
            if feed.error is not None:
                raise feed.error

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Look before a step."""
        self.tell()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Look before a step."""
        self.tell()

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Look before a step."""
        self.tell()

    def on_test_end(self, logs: Any = None) -> None:
        """Look after the last step."""
        self.tell()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look after the last step."""
        self.tell()


def mapped(dataset: Any, feed: Any) -> Any:
    """A `tf.data.Dataset` whose batches a feed looks at on their way, outside of what TensorFlow compiles.

    A refused batch ends in an assertion, since TensorFlow prints what Python raises, and how it came to it.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    parts = spec if isinstance(spec, tuple) else (spec,)
    if not 1 <= len(parts) <= 3 or not all(isinstance(one, tf.TensorSpec) for one in tf.nest.flatten(parts)):
        return dataset
    labels = feed.labels and bool(feed.trained)
    pixels, targets = feed.inputs.one(parts[0]), feed.targets(parts[1] if len(parts) > 1 else None)
    if pixels.shape.rank is not None:
        feed.inputs.check(pixels.shape, pixels.dtype)
    factor = np.float32(feed.inputs.intake.factor(pixels.dtype))
    looked_at = [pixels, *([targets, *parts[2:]] if labels else [])]
    weighs = bool(feed.class_weight) and labels
    count = len(tf.nest.flatten(targets)) if weighs else 0

    def look(*arrays: Any) -> Any:
        x, y, weight = (*tf.nest.pack_sequence_as(looked_at, list(arrays)), None, None)[:3]
        refused, found = feed.refuses(x, y, weight)
        weights = [np.float32(0)] * count if refused else tf.nest.flatten(found) if weighs else []
        return [np.bool_(not refused), *weights]

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def one_batch(*batch: Any) -> Any:
        x, y, weight = (*batch, None, None)[:3]
        x, y = feed.inputs.one(x), feed.targets(y)
        seen = [x, *([y] if labels else []), *([weight] if labels and len(parts) == 3 else [])]
        fine, *weights = tf.numpy_function(look, tf.nest.flatten(seen), [tf.bool] + [tf.float32] * count)
        with tf.control_dependencies([tf.debugging.Assert(fine, ["The data is refused, as the error says."])]):
            x = tf.identity(x) if factor == 1 else tf.cast(x, tf.float32) * factor
        if weighs:
            rank = feed.reading.rank
            for one, own in zip(weights, tf.nest.flatten(y), strict=True):
                one.set_shape((*own.shape[: rank + 1], 1))
            return x, y, tf.nest.pack_sequence_as(y, weights)
        return (x, y, weight)[: len(parts)] if isinstance(spec, tuple) else x

    return dataset.map(one_batch)
