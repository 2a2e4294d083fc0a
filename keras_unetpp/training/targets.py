"""How y meets a prediction: one layout, shared by every loss and metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from keras_unetpp.data.masks import SLACK
from keras_unetpp.kit.errors import InputError

Tensor = Any


class Target(NamedTuple):
    """What y says about each pixel, in the prediction's layout.

    Attributes:
        classes: float32 (batch, [depth,] height, width, classes), 1 where the pixel is of the class; NaN where y says
            what means nothing.
        valid: float32 (batch, [depth,] height, width, 1), 0 where the pixel is left out, else 1, or its weight over
            the mean weight of the image's pixels that count.
        weight: float32 (batch,), that mean weight; 1 where pixels have no weights, 0 where none counts.
    """

    classes: Tensor
    valid: Tensor
    weight: Tensor


def align(y_true: Tensor, y_pred: Tensor, ignore_index: int | None = None, weight: Tensor | None = None) -> Target:
    """Bring y into the layout of a prediction (batch, [depth,] height, width, classes).

    One class: y holds 0 and 1 (soft labels between them are kept). More classes: y holds class ids, or, in the
    prediction's shape, 0 and 1 for each class. Class ids may lack their last axis or have one of length 1.
    Labels outside 0..1, ids that name no class, and weights below 0 become NaN, so that loss and score show it at
    once: an error cannot be raised from inside a compiled step. Pixels that are left out may hold anything.

    Args:
        y_true: labels of any dtype, (batch, *sides), (batch, *sides, 1) or (batch, *sides, classes).
        y_pred: prediction, (batch, *sides, classes).
        ignore_index: the value of y that marks a pixel to leave out; in y of the prediction's shape, a pixel is left
            out if any of its classes holds the value.
        weight: of pixels, (batch, *sides, 1), as `of_pixels` gives them; a weight of 0 leaves the pixel out.

    Raises:
        InputError: the shapes do not fit, or `ignore_index` is 0 or 1 where those are labels.
    """
    if len(y_true.shape) == len(y_pred.shape) - 1:
        y_true = ops.expand_dims(y_true, -1)
    _check_shapes(y_true, y_pred)
    classes = y_pred.shape[-1]
    are_ids = classes > 1 and y_true.shape[-1] == 1
    if ignore_index in (0, 1) and not are_ids:
        raise InputError(
            f"ignore_index must differ from the labels 0 and 1 that y holds for each class; received {ignore_index}. "
            "Mark the pixels to leave out with another value, such as 255."
        )
    y_true = ops.cast(y_true, "float32")
    kept = ops.ones_like(y_true[..., :1], dtype="bool")
    if ignore_index is not None:
        kept = ops.all(ops.not_equal(y_true, float(ignore_index)), axis=-1, keepdims=True)
    if weight is not None:
        kept = ops.logical_and(kept, ops.not_equal(weight, 0.0))
    y_true = ops.where(kept, y_true, 0.0)
    labels = _one_hot(y_true, classes) if are_ids else _within(y_true)
    valid, mean = ops.cast(kept, "float32"), ops.cast(ops.any(kept, axis=_pixels(kept)), "float32")
    if weight is not None:
        labels = ops.where(weight >= 0, labels, float("nan"))
        weight = ops.where(kept, weight, 0.0)
        mean = ops.sum(weight, axis=_pixels(kept)) / ops.maximum(ops.sum(valid, axis=_pixels(kept)), 1.0)
        whole = ops.reshape(mean, (-1, *(1,) * (len(weight.shape) - 1)))
        valid = weight / ops.where(whole == 0, 1.0, whole)
    return Target(labels, valid, mean)


def of_pixels(sample_weight: Tensor, y_pred: Tensor) -> Tensor | None:
    """Weights of pixels as float32 (batch, *sides, 1), or None if they are weights of images.

    Args:
        sample_weight: (batch,) or (batch, 1) for images; (batch, *sides) or (batch, *sides, 1) for pixels.
        y_pred: prediction, (batch, *sides, classes).

    Raises:
        InputError: another shape.
    """
    found, wanted = tuple(sample_weight.shape), (*y_pred.shape[:-1], 1)
    if len(found) < 2 or all(side == 1 for side in found[1:]):
        return None
    weight = ops.expand_dims(sample_weight, -1) if len(found) == len(wanted) - 1 else sample_weight
    if not _fits(weight.shape, wanted):
        raise InputError(
            "sample_weight must hold one weight per image, (batch,) or (batch, 1), or per pixel, (batch, *sides) or "
            f"(batch, *sides, 1), with the sides of the prediction {tuple(y_pred.shape)}; received {found}. For "
            "weights of classes pass class_weights to the loss."
        )
    return ops.cast(weight, "float32")


def activate(y_pred: Tensor, multi_label: bool) -> Tensor:
    """Probabilities of logits (batch, *sides, classes): sigmoid for one class or labels that overlap, else softmax."""
    return ops.sigmoid(y_pred) if is_binary(y_pred, multi_label) else ops.softmax(y_pred, axis=-1)


def is_binary(y_pred: Tensor, multi_label: bool) -> bool:
    """Whether each channel answers yes or no by itself, rather than all channels naming one class together."""
    return bool(multi_label or y_pred.shape[-1] == 1)


def sides(x: Tensor) -> tuple[int, ...]:
    """Axes of the pixels of a tensor (batch, *sides, channels)."""
    return tuple(range(1, len(x.shape) - 1))


def _pixels(x: Tensor) -> tuple[int, ...]:
    """All axes but that of the images."""
    return tuple(range(1, len(x.shape)))


def _one_hot(ids: Tensor, classes: int) -> Tensor:
    hits = ops.equal(ids, ops.arange(classes, dtype="float32"))
    return ops.where(ops.any(hits, axis=-1, keepdims=True), ops.cast(hits, "float32"), float("nan"))


def _within(labels: Tensor) -> Tensor:
    """Labels of 0..1, what rounding adds cut off; NaN for all others."""
    fits = ops.logical_and(labels >= -SLACK, labels <= 1 + SLACK)
    return ops.where(fits, ops.clip(labels, 0.0, 1.0), float("nan"))


def _fits(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Whether two shapes may be the same, as far as they are known."""
    return len(found) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(found, wanted, strict=True)
    )


def _check_shapes(y_true: Tensor, y_pred: Tensor) -> None:
    found, wanted = tuple(y_true.shape), tuple(y_pred.shape)
    if len(found) != len(wanted) or found[-1] not in (1, wanted[-1]) or not _fits(found[:-1], wanted[:-1]):
        more = f" or (batch, *sides, {wanted[-1]})"
        several = more if wanted[-1] == 1 else ", (batch, *sides, 1)" + more
        raise InputError(
            f"y must be of shape (batch, *sides){several} with the sides of the prediction {wanted}; received {found}. "
            "Bring y to one of these."
        )
