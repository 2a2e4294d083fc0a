"""How each head and its loss read y, and where the two contradict each other."""

from typing import Any, NamedTuple

import keras

STOCK = {
    "binarycrossentropy": True,
    "binaryfocalcrossentropy": True,
    "categoricalcrossentropy": False,
    "categoricalfocalcrossentropy": False,
    "sparsecategoricalcrossentropy": False,
    "dice": None,
    "tversky": None,
}
"""Losses of Keras that read y as those of this package do, by class or function, without underscores -> whether a pixel
may be of several classes; None: it does not say."""


class Reading(NamedTuple):
    """How a head reads y.

    Attributes:
        classes: of its prediction.
        rank: number of sides.
        exclusive: a pixel is of one class only.
        ignore_index: the value of pixels to leave out.
        known: whether its loss reads labels; another may want anything.
        trained: whether it has a loss.
    """

    classes: int
    rank: int
    exclusive: bool
    ignore_index: int | None
    known: bool
    trained: bool


def reading(output: Any, loss: Any) -> Reading:
    """How a head, given its output (batch, *sides, classes) and its loss as `compile` took it, reads y."""
    loss = _resolved(loss)
    stock = _stock(loss)
    return Reading(
        classes=int(output.shape[-1]),
        rank=len(output.shape) - 2,
        exclusive=not loss.multi_label if _is_own(loss) else not STOCK.get(stock or ""),
        ignore_index=loss.ignore_index if _is_own(loss) else getattr(loss, "ignore_class", None),
        known=_is_own(loss) or stock is not None,
        trained=loss is not None,
    )


def contradiction(name: str, activation: str, classes: int, loss: Any) -> str | None:
    """What a head, or a metric on it, cannot make of its output, with the way out; None if they agree.

    Args:
        name: of the head.
        activation: of the head; "" if it is not known.
        classes: of the head.
        loss: as `compile` took it, or a metric. Losses that are neither of this package nor of Keras are not judged.
    """
    loss = _resolved(loss)
    stock = _stock(loss)
    if not activation or not (_is_own(loss) or stock):
        return None
    logits = bool(getattr(loss, "from_logits", False))
    several = loss.multi_label if _is_own(loss) else STOCK.get(stock or "")
    called = getattr(loss, "__name__", type(loss).__name__)
    gives = f"{name or 'The model'} gives {'logits' if activation == 'linear' else 'probabilities'} ({activation})"
    if activation == "linear" and not logits:
        able = _is_own(loss) or hasattr(loss, "from_logits")
        way = "Pass from_logits=True to it" if able else "Take a loss with from_logits=True"
        return (
            f"{gives}, but {called} takes probabilities. {way}, or build the model with"
            f" head_activation={'softmax' if classes > 1 and not several else 'sigmoid'!r}."
        )
    if activation != "linear" and logits:
        return (
            f"{gives}, but {called} has from_logits=True. Leave that out, or build the model with"
            " head_activation='linear'."
        )
    if stock and classes == 1 and several is False:
        return f"{gives} of one class, for which {called} is always 0. Take BinaryCrossentropy, or a loss of ours."
    if classes > 1 and activation == "softmax" and several:
        way = "Leave out multi_label" if _is_own(loss) else "Take CategoricalCrossentropy"
        return (
            f"{gives} of {classes} classes that exclude each other, but {called} lets them overlap. {way}, or build the"
            " model with head_activation='sigmoid'."
        )
    if classes > 1 and activation == "sigmoid" and several is False:
        way = "Pass multi_label=True to it" if _is_own(loss) else "Take BinaryCrossentropy"
        return (
            f"{gives} of {classes} classes that may overlap, but in {called} they exclude each other. {way}, or build"
            " the model with head_activation='softmax'."
        )
    return None


def _resolved(loss: Any) -> Any:
    """A loss as an object or function, whatever way it was given in."""
    loss = loss[0] if isinstance(loss, (list, tuple)) and len(loss) == 1 else loss
    if isinstance(loss, str):
        try:
            return keras.losses.get(loss)
        except ValueError:  # `compile` tells
            return None
    return loss


def _is_own(loss: Any) -> bool:
    return all(hasattr(loss, one) for one in ("ignore_index", "multi_label", "from_logits"))


def _stock(loss: Any) -> str | None:
    """The key of STOCK of a loss that is Keras' own."""
    maker = loss if hasattr(loss, "__name__") else type(loss)
    name = maker.__name__.replace("_", "").lower()
    return name if name in STOCK and getattr(keras.losses, maker.__name__, None) is maker else None
