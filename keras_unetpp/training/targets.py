"""How y meets a prediction: one layout, shared by every loss and metric."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_unetpp.errors import InputError

Tensor = Any


class Target(NamedTuple):
    """What y says about each pixel, in the prediction's layout.

    Attributes:
        classes: float32 (batch, [depth,] height, width, classes), 1 where the pixel is of the class.
        valid: float32 (batch, [depth,] height, width, 1), 0 where the pixel is left out, else 1.
    """

    classes: Tensor
    valid: Tensor


def align(y_true: Tensor, y_pred: Tensor, ignore_index: int | None = None) -> Target:
    """Bring y into the layout of a prediction (batch, [depth,] height, width, classes).

    One class: y holds 0 and 1 (soft labels between them are kept). More classes: y holds class ids, or, in the
    prediction's shape, 0 and 1 for each class. Class ids may lack their last axis or have one of length 1.
    An id that names no class and is not `ignore_index` becomes NaN, so that the loss shows it at once: an error
    cannot be raised from inside a compiled step.

    Args:
        y_true: labels of any dtype, (batch, *sides), (batch, *sides, 1) or (batch, *sides, classes).
        y_pred: prediction, (batch, *sides, classes).
        ignore_index: the value of y that marks a pixel to leave out; in y of the prediction's shape, a pixel is left
            out if any of its classes holds the value.

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
    valid = ops.ones_like(y_true[..., :1])
    if ignore_index is not None:
        kept = ops.all(ops.not_equal(y_true, float(ignore_index)), axis=-1, keepdims=True)
        valid = ops.cast(kept, "float32")
        y_true = ops.where(kept, y_true, 0.0)
    return Target(_one_hot(y_true, classes) if are_ids else y_true, valid)


def activate(y_pred: Tensor, multi_label: bool) -> Tensor:
    """Probabilities of logits (batch, *sides, classes): sigmoid for one class or labels that overlap, else softmax."""
    return ops.sigmoid(y_pred) if is_binary(y_pred, multi_label) else ops.softmax(y_pred, axis=-1)


def is_binary(y_pred: Tensor, multi_label: bool) -> bool:
    """Whether each channel answers yes or no by itself, rather than all channels naming one class together."""
    return bool(multi_label or y_pred.shape[-1] == 1)


def sides(x: Tensor) -> tuple[int, ...]:
    """Axes of the pixels of a tensor (batch, *sides, channels)."""
    return tuple(range(1, len(x.shape) - 1))


def _one_hot(ids: Tensor, classes: int) -> Tensor:
    hits = ops.equal(ids, ops.arange(classes, dtype="float32"))
    return ops.where(ops.any(hits, axis=-1, keepdims=True), ops.cast(hits, "float32"), float("nan"))


def _check_shapes(y_true: Tensor, y_pred: Tensor) -> None:
    found, wanted = tuple(y_true.shape), tuple(y_pred.shape)
    fits = len(found) == len(wanted) and found[-1] in (1, wanted[-1])
    if not fits or any(None not in pair and pair[0] != pair[1] for pair in zip(found[:-1], wanted[:-1], strict=True)):
        raise InputError(
            f"y must be of shape (batch, *sides), (batch, *sides, 1) or (batch, *sides, {wanted[-1]}) with the sides "
            f"of the prediction {wanted}; received {found}. Bring y to one of these."
        )
