"""IoU and Dice: as Keras metrics while training, and in NumPy for whole images.

Both are ratios of the true positive, false positive and false negative pixels of one class. One rule, here and in
`evaluate`, for what is empty (`over_classes`): a class that neither mask nor prediction of an image shows is left out
of the image's mean over classes; if they show none of the classes, the image scores 1. A class that only one of them
shows scores 0. What is not finite gives no score: NaN as a metric, an error in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_unetpp.kit.errors import InputError
from keras_unetpp.training.targets import Tensor, activate, align, is_binary, of_pixels, sides


class Counts(NamedTuple):
    """Pixels of one class (numbers, or arrays of them): true positive, false positive, false negative."""

    tp: Any
    fp: Any
    fn: Any

    def iou(self, where: Callable[..., Any] = np.where) -> Any:
        """TP / (TP + FP + FN), and 1 where all are 0; `where` is that of the arrays' library."""
        return self._ratio(1, where)

    def dice(self, where: Callable[..., Any] = np.where) -> Any:
        """2 TP / (2 TP + FP + FN), and 1 where all are 0; `where` is that of the arrays' library."""
        return self._ratio(2, where)

    def _ratio(self, weight: int, where: Callable[..., Any]) -> Any:
        whole = weight * self.tp + self.fp + self.fn
        return where(whole == 0, 1.0, weight * self.tp / where(whole == 0, 1.0, whole))


def over_classes(scores: Any, pixels: Counts, library: Any) -> Any:
    """Mean over the last axis, that of classes, of those that mask or prediction show; 1 where they show none.

    Args:
        scores: (.., classes).
        pixels: (.., classes), from which the scores are.
        library: `numpy`, or `keras.ops`, of the arrays.
    """
    shown = library.not_equal(pixels.tp + pixels.fp + pixels.fn, 0)
    count = library.sum(library.where(shown, 1.0, 0.0), axis=-1)
    total = library.sum(library.where(shown, scores, 0.0), axis=-1)
    return library.where(count == 0, 1.0, total / library.maximum(count, 1.0))


def counts(mask: Any, prediction: Any, ignore_index: int | None = None) -> Counts:
    """Count the pixels of one class in one image of any rank; for one of several classes pass `mask == k`.

    Args:
        mask: truth, (*sides), bool or numbers; above 0.5 is the class.
        prediction: (*sides), bool or probabilities; above 0.5 is the class.
        ignore_index: value of `mask` that marks pixels to leave out.

    Raises:
        InputError: the shapes differ, or either holds NaN.
    """
    mask, prediction = np.asarray(mask), np.asarray(prediction)
    if mask.shape != prediction.shape:
        raise InputError(
            f"mask and prediction must have the same shape; received {mask.shape} and {prediction.shape}. "
            "Drop the channel axis of one, or bring the prediction back to the size of the mask."
        )
    for name, values in (("mask", mask), ("prediction", prediction)):
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise InputError(f"{name} must not hold NaN. Check the weights of the model, or replace the values.")
    valid = np.ones(mask.shape, bool) if ignore_index is None else mask != ignore_index
    true, said = (mask > 0.5) & valid, (prediction > 0.5) & valid
    hits = int(np.count_nonzero(true & said))
    return Counts(hits, int(np.count_nonzero(said)) - hits, int(np.count_nonzero(true)) - hits)


def iou(mask: Any, prediction: Any, ignore_index: int | None = None) -> float:
    """Intersection over union of one class in one image, 0..1; arguments as in `counts`."""
    return float(counts(mask, prediction, ignore_index).iou())


def dice(mask: Any, prediction: Any, ignore_index: int | None = None) -> float:
    """Dice coefficient of one class in one image, 0..1; arguments as in `counts`."""
    return float(counts(mask, prediction, ignore_index).dice())


class OverlapMetric(keras.metrics.Metric):
    """What IoU and Dice share: how pixels are counted and scores averaged.

    A prediction is (batch, [depth,] height, width, classes); `keras_unetpp.training.targets.align` says which y fit.
    One class, or `multi_label`: a pixel is of each class whose channel is above `threshold`. Otherwise it is of the
    class whose channel is largest.

    Args:
        threshold: probability, 0..1, above which a pixel is of the class.
        per_image: score each image and class, then average over its classes and over images. Otherwise pool the pixels
            of all images, score each class, then average. See `over_classes` for classes that do not occur.
        class_ids: classes to average over, such as `range(1, 5)` to leave out the background; None for all. With
            `per_image=False` and several classes it must be given, since it sets the size of the metric's state.
        ignore_index: value of y that marks pixels to leave out; an image with no other pixel does not count.
        from_logits: the prediction is logits, not probabilities.
        multi_label: a pixel may be of several classes.
        name: as in `keras.metrics.Metric`.
        dtype: as in `keras.metrics.Metric`.

    Raises:
        InputError: `threshold` or `class_ids` is out of range; on update, `class_ids` does not fit the classes, or
            `sample_weight` holds weights neither of images nor of pixels.
    """

    def __init__(
        self,
        threshold: float = 0.5,
        per_image: bool = True,
        class_ids: Sequence[int] | None = None,
        ignore_index: int | None = None,
        from_logits: bool = False,
        multi_label: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name or type(self).__name__.lower(), dtype=dtype)
        self.threshold = threshold
        self.per_image = per_image
        self.class_ids = None if class_ids is None else tuple(int(k) for k in class_ids)
        self.ignore_index = ignore_index
        self.from_logits = from_logits
        self.multi_label = multi_label
        self._check_arguments()
        shape = (2,) if per_image else (3, len(self.class_ids or (0,)))
        self.state = self.add_variable(shape=shape, initializer="zeros", name="state")

    def score(self, pixels: Counts) -> Tensor:
        """Ratio for each class, in the shape of the counts; each subclass states its own."""
        raise NotImplementedError

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Take in a batch.

        `sample_weight` (batch,) weighs images, and with `per_image=False` their pixels; (batch, *sides) or
        (batch, *sides, 1) weighs pixels where they are counted, and an image by the mean of those that are not 0.
        """
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.cast(y_pred, "float32")
        by_image = by_pixel = None
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, "float32")
            by_pixel = of_pixels(sample_weight, y_pred)
            by_image = ops.reshape(sample_weight, (-1,)) if by_pixel is None else None
        pixels, weight = self._count(y_true, y_pred, by_pixel)
        weight = weight if by_image is None else weight * by_image
        if self.per_image:
            scores = over_classes(self.score(pixels), pixels, ops)
            update = ops.stack([ops.sum(scores * weight), ops.sum(weight)])
        else:
            update = ops.stack([ops.sum(count * weight[:, None], axis=0) for count in pixels])
        self.state.assign_add(ops.cast(update, self.state.dtype))

    def result(self) -> Tensor:
        """Average score so far, 0..1; before any image, 0, or 1 with `per_image=False`."""
        if self.per_image:
            return ops.divide_no_nan(self.state[0], self.state[1])
        pixels = Counts(*(self.state[k] for k in range(3)))
        return over_classes(self.score(pixels), pixels, ops)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal metric."""
        names = ("threshold", "per_image", "class_ids", "ignore_index", "from_logits", "multi_label")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _count(self, y_true: Tensor, y_pred: Tensor, weight: Tensor | None) -> tuple[Counts, Tensor]:
        """Counts (batch, classes) of the chosen classes, and what each image weighs (batch,), 0 if not at all."""
        target = align(y_true, y_pred, self.ignore_index, weight)
        chosen = self._chosen(y_pred.shape[-1])
        true = ops.take(target.classes > 0.5, chosen, axis=-1)
        said = ops.take(self._decide(y_pred), chosen, axis=-1)
        axes = sides(y_pred)
        true, said = (ops.cast(x, "float32") for x in (true, said))
        hits = ops.sum(true * said * target.valid, axis=axes)
        said, true = (ops.sum(x * target.valid, axis=axes) for x in (said, true))
        odd = ops.any(ops.isnan(y_pred) | ops.isnan(target.classes), axis=-1, keepdims=True) & (target.valid > 0)
        # A comparison with NaN is false, which would score like any other answer.
        hits = ops.where(ops.any(odd, axis=axes), float("nan"), hits)
        return Counts(hits, said - hits, true - hits), target.weight

    def _decide(self, y_pred: Tensor) -> Tensor:
        """Bool (batch, *sides, classes): the classes each pixel is given."""
        if is_binary(y_pred, self.multi_label):
            return (activate(y_pred, True) if self.from_logits else y_pred) > self.threshold
        largest = ops.expand_dims(ops.argmax(y_pred, axis=-1), -1)
        return ops.equal(largest, ops.arange(y_pred.shape[-1], dtype=largest.dtype))

    def _chosen(self, classes: int) -> tuple[int, ...]:
        chosen = tuple(range(classes)) if self.class_ids is None else self.class_ids
        if max(chosen) >= classes:
            raise InputError(
                f"class_ids must be below the prediction's {classes} channel(s); received {chosen}. Count from 0."
            )
        if not self.per_image and self.class_ids is None and classes > 1:
            raise InputError(
                f"per_image=False needs class_ids for a prediction of {classes} channels; received None. "
                f"Pass class_ids=range({classes}), or range(1, {classes}) to leave out the background."
            )
        return chosen

    def _check_arguments(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(
                f"threshold must be a probability, 0 to 1, for logits too; received {self.threshold}. Try 0.5."
            )
        if self.class_ids is not None and (not self.class_ids or min(self.class_ids) < 0):
            raise InputError(
                f"class_ids must name at least one class and count from 0; received {self.class_ids}. "
                "Pass None for all classes."
            )


@keras.saving.register_keras_serializable("keras_unetpp", "metrics.IoU")
class IoU(OverlapMetric):
    """Intersection over union, TP / (TP + FP + FN); arguments as in `OverlapMetric`."""

    def score(self, pixels: Counts) -> Tensor:
        """IoU for each class, in the shape of the counts."""
        return pixels.iou(ops.where)


@keras.saving.register_keras_serializable("keras_unetpp", "metrics.Dice")
class Dice(OverlapMetric):
    """Dice coefficient, 2 TP / (2 TP + FP + FN); arguments as in `OverlapMetric`."""

    def score(self, pixels: Counts) -> Tensor:
        """Dice for each class, in the shape of the counts."""
        return pixels.dice(ops.where)
