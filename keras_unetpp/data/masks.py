"""What a mask's numbers mean: foreground or class ids, in a layout that is recognised, or refused by name.

Scoring reads masks by `as_ids`, training looks at y by `check_targets`; neither rescales anything by its values.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_unetpp.data.labels import check_ignore_index, resolved_labels
from keras_unetpp.kit.errors import InputError, InputWarning

SLACK = 1e-3
"""By how much rounding may move soft labels of 0..1, which half precision does."""

_BLOCK = 2**24
"""Values looked at in one go, so that looking takes little memory."""


def as_ids(mask: Any, classes: int, *, exclusive: bool = True, labels: str = "auto", ignore_index: int | None = None,
           rank: int = 2, name: str = "The mask") -> np.ndarray:  # fmt: skip
    """The mask of one image as it is scored.

    >>> as_ids(np.array([[0, 7], [255, 0]]), classes=1, ignore_index=255).tolist()
    [[0, 1], [255, 0]]
    >>> as_ids(np.array([[[1, 0], [0, 1]]]), classes=2).tolist()
    [[0, 1]]

    Args:
        mask: bool, integers, or whole numbers in float: (*sides) or (*sides, 1) of ids, or, for several classes,
            (*sides, classes) of 0 and 1.
        classes: of the model.
        exclusive: whether a pixel is of one class only.
        labels: what ids are; see `keras_unetpp.data.labels.resolved_labels`.
        ignore_index: the value of pixels to leave out; of 0 and 1 for each class, one class that holds it is enough.
        rank: number of sides, 2 or 3.
        name: of the mask in errors.

    Returns:
        int32 (*sides): 0 and 1 for "foreground", class ids for "classes". Where classes do not exclude each other and
        the mask has a channel for each, (*sides, classes) of 0 and 1. Pixels to leave out hold `ignore_index`.

    Raises:
        InputError: another layout, or values that mean nothing in it.
    """
    values = np.asarray(mask)
    channels = _is_channels(values, classes, rank, name)
    if not channels and values.ndim == rank + 1:
        values = values[..., 0]
    left_out = np.zeros(values.shape, bool) if ignore_index is None else values == ignore_index
    meant = resolved_labels(labels, classes)
    foreground = meant == "foreground"
    ids: Any
    if channels:
        ids, left_out = _of_channels(values, left_out, exclusive, ignore_index, name)
    else:
        check_ignore_index(ignore_index, meant)
        ids = values
        highest = None if foreground else max(classes, 2) - 1
        if (low_high := _outside(values, ~left_out, 0, highest, whole=True)) is not None:
            kind = "ids of foreground, 0 and above," if foreground else f"class ids 0..{highest}"
            raise InputError(
                f"{name} must hold {kind} for {_classes(classes)}. Received: {_seen(values[~left_out])}."
                f" {_way_out(*low_high, classes, ids=True)}"
            )
    found = (ids > 0).astype(np.int32) if foreground else ids.astype(np.int32)
    return found if ignore_index is None else np.where(left_out, np.int32(ignore_index), found)


def all_as_ids(masks: Sequence[Any], classes: int, **options: Any) -> list[np.ndarray]:
    """The masks of several images by `as_ids`, whose options these are; told if they show no background at all."""
    found = [as_ids(mask, classes, **{"name": f"Mask {number}", **options}) for number, mask in enumerate(masks)]
    left_out = options.get("ignore_index")
    if found and classes == 1 and not any((ids == 0).any() for ids in found):
        values = np.concatenate([np.unique(mask) for mask in masks])
        values = values[values != left_out] if left_out is not None else values
        if np.unique(values).size > 1:
            warnings.warn(
                f"All pixels of all {len(found)} masks are foreground, since none is 0. Received: {_seen(values)}. If"
                " they are ids of classes that count from 1, pass mask == ID, or mask - 1.",
                InputWarning,
                stacklevel=3,
            )
    return found


def check_targets(y: Any, classes: int, *, rank: int = 2, ignore_index: int | None = None, weight: Any = None,
                  name: str = "y") -> None:  # fmt: skip
    """Raise `InputError` if a batch of targets means nothing to a loss.

    One class, and a channel for each of several: 0 and 1, or soft labels between. Several classes without channels:
    their ids. Pixels of `ignore_index` or of weight 0 may hold anything.

    Args:
        y: (batch, *sides), (batch, *sides, 1) or (batch, *sides, classes).
        classes: of the model.
        rank: number of sides, 2 or 3.
        ignore_index: the value of pixels to leave out.
        weight: of the pixels, (batch, *sides) or (batch, *sides, 1), if they have any.
        name: of y in errors.
    """
    y = np.asarray(y)
    channels = _is_channels(y, classes, rank, name, batch=True)
    ids = classes > 1 and not channels
    for part in _blocks(y):
        values, kept = y[part], None
        if ignore_index is not None:
            kept = values != ignore_index
            kept = kept.all(-1, keepdims=True) if channels else kept
        if weight is not None:
            heavy = np.asarray(weight[part]).reshape(values.shape if not channels else (*values.shape[:-1], 1)) > 0
            kept = heavy if kept is None else kept & heavy
        low, high = (0, classes - 1) if ids else (-SLACK, 1 + SLACK)
        if (low_high := _outside(values, kept, low, high, whole=ids)) is not None:
            wanted = f"class ids 0..{classes - 1}" if ids else "0 and 1, or soft labels between,"
            shown = values if kept is None else values[np.broadcast_to(kept, values.shape)]
            raise InputError(
                f"{name} must hold {wanted} for {_classes(classes)}{' with a channel each' if channels else ''}."
                f" Received: {_seen(shown)}. {_way_out(*low_high, classes, ids)}"
            )


def doubt(y: Any, classes: int, *, rank: int = 2, exclusive: bool = True, ignore_index: int | None = None,
          weight: Any = None) -> str | None:  # fmt: skip
    """What is odd about targets that `check_targets` lets pass, as a sentence with the way out; None if nothing is.

    Args:
        y: as there.
        classes: of the model.
        rank: number of sides, 2 or 3.
        exclusive: whether a pixel is of one class only.
        ignore_index: the value of pixels to leave out.
        weight: of images, (batch,), or pixels, if they have any.
    """
    y = np.asarray(y)
    nothing = _nothing_to_learn(y, classes, rank, ignore_index, weight)
    if classes == 1:
        high = float(y.max()) if y.dtype.kind == "f" and y.size else 1.0
        if 0 < high < 0.01:
            return f"The largest value of y is {high:.6g}. If its masks of 0 and 1 were divided by 255, do not divide."
        return nothing
    if not exclusive or not _is_channels(y, classes, rank, "y", batch=True):
        return nothing
    wrong = total = 0
    for part in _blocks(y):
        sums = y[part].sum(-1, dtype=np.float32)
        odd: Any = np.abs(sums - 1) > 10 * SLACK
        if ignore_index is not None:
            odd &= (y[part] != ignore_index).all(-1)
        wrong, total = wrong + int(odd.sum()), total + odd.size
    if not wrong:
        return nothing
    return (
        f"y names no class, or more than one, for {wrong / total:.1%} of its pixels, though classes exclude each other:"
        " its channels should sum to 1. Give each pixel one class, or build the model with a sigmoid."
    )


def _nothing_to_learn(y: np.ndarray, classes: int, rank: int, ignore_index: int | None, weight: Any) -> str | None:
    """What to say of targets that are the same everywhere; None if they are not."""
    channels = _is_channels(y, classes, rank, "y", batch=True)
    labels = y if channels else y.reshape(*y.shape[: rank + 1], 1)
    weights = None if weight is None else np.asarray(weight)
    left_out, first = False, None
    for part in _blocks(labels):
        values = labels[part]
        kept = np.ones(values.shape[:-1], bool) if ignore_index is None else (values != ignore_index).all(-1)
        if weights is not None:
            own = weights[part] > 0
            kept &= own.reshape(own.shape[0], *(own.shape[1 : rank + 1] if own.size > own.shape[0] else (1,) * rank))
        left_out = left_out or not kept.all()
        counted = values[kept]
        if not len(counted):
            continue
        first = counted[0] if first is None else first
        if (counted != first).any():
            return None
    if first is None:
        return f"No pixel of y counts, since {_left_out_by(ignore_index, weights)}. Nothing can be learnt."
    name = ", ".join(f"{value:.6g}" for value in first)
    if classes == 1:
        name += {0.0: ", the background", 1.0: ", the foreground"}.get(float(first[0]), "")
    way = "Pass masks that show all classes"
    if ignore_index is not None and left_out and classes == 1:
        kind, sign = ("back", "!=") if first[0] > 0 else ("fore", "==")
        way = f"If {ignore_index} marks the {kind}ground, pass y {sign} {ignore_index} and no ignore_index"
    return f"All pixels of y that count are {name}, so that is all that can be learnt. {way}."


def _left_out_by(ignore_index: int | None, weights: Any) -> str:
    reasons = {
        f"those of {ignore_index} are left out by ignore_index": ignore_index is not None,
        "those of weight 0 are left out": weights is not None,
    }
    return " and ".join(reason for reason, given in reasons.items() if given) or "y holds none"


def check_weights(weight: Any) -> None:
    """Raise `InputError` for weights of images or pixels that are negative or not finite."""
    weight = np.asarray(weight)
    for part in _blocks(weight):
        if _outside(weight[part], None, 0, None) is not None:
            raise InputError(
                f"sample_weight must hold finite numbers of at least 0. Received: {_seen(weight[part])}. Leave images"
                " or pixels out by a weight of 0."
            )


def class_weight_of_pixels(y: Any, class_weight: Mapping[int, float], classes: int,
                           rank: int = 2) -> np.ndarray:  # fmt: skip
    """Weights of classes as weights of pixels, float32 (batch, *sides, 1); soft labels mix them.

    Args:
        y: targets that `check_targets` lets pass.
        class_weight: by id, for one class {0: background, 1: foreground}; ids left out weigh 1.
        classes: of the model, which exclude each other.
        rank: number of sides, 2 or 3.
    """
    y = np.asarray(y)
    weights = np.array([class_weight.get(k, 1.0) for k in range(max(classes, 2))], np.float32)
    if _is_channels(y, classes, rank, "y", batch=True):
        return np.clip(y.astype(np.float32), 0, 1) @ weights[:, None]
    y = y if y.ndim == rank + 2 else y[..., None]
    if classes == 1:
        share = np.clip(y.astype(np.float32), 0, 1)
        return weights[0] + (weights[1] - weights[0]) * share
    return weights[np.clip(y.astype(np.int64), 0, classes - 1)]


def _is_channels(values: np.ndarray, classes: int, rank: int, name: str, batch: bool = False) -> bool:
    """Whether values have a channel for each class; raises for what is no mask."""
    if values.dtype.kind not in "buif":
        raise InputError(f"{name} must hold numbers. Received: dtype {values.dtype}.")
    axes = ("batch, " if batch else "") + ("height, width", "depth, height, width")[rank - 2]
    own, shape = values.ndim - batch, values.shape
    channels = own == rank + 1 and classes > 1 and shape[-1] == classes
    if not channels and own != rank and not (own == rank + 1 and shape[-1] == 1):
        last = f", ({axes}, 1) or ({axes}, {classes})" if classes > 1 else f" or ({axes}, 1)"
        raise InputError(f"{name} must be ({axes}){last} for {_classes(classes)}. Received: {shape}.")
    return channels


def _of_channels(values: np.ndarray, left_out: Any, exclusive: bool, ignore_index: int | None,
                 name: str) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Masks with a channel for each class: ids, or channels where classes overlap, and what to leave out."""
    classes = values.shape[-1]
    if ignore_index in (0, 1):
        raise InputError(
            f"ignore_index must differ from the 0 and 1 that {name} holds for each class. Received: {ignore_index}."
            " Mark the pixels to leave out with another value, such as 255."
        )
    left_out = left_out.any(-1, keepdims=True)
    if (low_high := _outside(values, ~left_out, 0, 1, whole=True)) is not None:
        raise InputError(
            f"{name} must hold 0 and 1 for {_classes(classes)} with a channel each. Received:"
            f" {_seen(values[~left_out[..., 0]])}. {_way_out(*low_high, classes, ids=False)}"
        )
    if not exclusive:
        return values, left_out
    left_out = left_out[..., 0]
    if not ((values.sum(-1, dtype=np.int64) == 1) | left_out).all():
        raise InputError(
            f"{name} must give each pixel exactly one of {classes} classes, which exclude each other. Received: pixels"
            " of none or of several. Pass ids, and mark pixels to leave out by ignore_index."
        )
    return values.argmax(-1), left_out


def _outside(values: np.ndarray, kept: np.ndarray | None, low: float, high: float | None,
             whole: bool = False) -> tuple[float, float] | None:  # fmt: skip
    """Least and largest of the values kept, if any is outside low..high, not finite or, if asked, not whole."""
    if values.dtype == bool or not values.size:
        return None
    looked_at = values if kept is None or kept.all() else np.where(kept, values, values.dtype.type(0))
    least, most = float(looked_at.min()), float(looked_at.max())
    fits = bool(np.isfinite([least, most]).all()) and least >= low and (high is None or most <= high)
    if fits and whole and values.dtype.kind == "f":
        fits = bool((looked_at == np.rint(looked_at)).all())
    if fits:
        return None
    shown = values if kept is None else values[np.broadcast_to(kept, values.shape)]
    return float(shown.min()), float(shown.max())


def _blocks(values: np.ndarray) -> list[slice]:
    """Slices along the first axis of some `_BLOCK` values each."""
    count = len(values)
    step = max(1, _BLOCK * count // max(values.size, 1))
    return [slice(first, first + step) for first in range(0, count, step)]


def _seen(values: np.ndarray) -> str:
    """The values of an array in short, with its type."""
    flat = values.ravel()
    some = np.unique([*flat[:: max(1, flat.size // 4096)].tolist(), flat.min(), flat.max()])
    listed = ", ".join(f"{value:.6g}" for value in some)
    return f"{listed if some.size <= 4 else f'{some[0]:.6g}..{some[-1]:.6g}'} ({values.dtype})"


def _classes(classes: int) -> str:
    return "one class" if classes == 1 else f"{classes} classes"


def _way_out(low: float, high: float, classes: int, ids: bool) -> str:
    """What to do about labels of low..high that do not fit."""
    if not np.isfinite([low, high]).all():
        return "Replace values that are not finite."
    if low < 0:
        return f"Pass ignore_index={low:.6g} if that marks pixels to leave out; -1 and 1 become 0 and 1 by > 0."
    if high in (255, 65535):
        top = int(high)
        return f"Pass mask / {top} for masks of 0 and {top}, or ignore_index={top} if {top} marks pixels to leave out."
    if ids and low == 1 and high == classes > 1:
        return "Ids count from 0: subtract 1."
    if ids and high % 1 == 0 and low % 1 == 0 and high > classes - 1:
        return "Ids count from 0. Correct them, raise classes, or leave pixels out by ignore_index."
    if ids or high <= 1:
        return "Round soft labels: mask > 0.5, or the channel of the largest."
    if classes == 1:
        return "Pass mask > 0 for ids of instances, mask == ID for one class of several."
    return "Bring each channel to 0 and 1."
