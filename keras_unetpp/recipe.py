"""`Recipe`: how a network is trained, as one frozen, validated table of fields. Standard library only."""

from dataclasses import dataclass, fields
from typing import Any

from keras_unetpp.data.labels import LABELS, resolved_labels
from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.kit.validated import Validated, described, with_field_help
from keras_unetpp.spec.geometry import ByAxis, by_axis, joined, padded

_MOST = 2**31 - 1
"""Of whole numbers that only count, and of mask values."""
MOST_SIDE = 2**14
"""Pixels of a crop's side."""
MOST_WEIGHT = 10**6
"""Of a class."""
DEFAULT_CROP = 192
"""Pixels of an image's sides."""


def _field(default: Any, text: str, low: float | None = None, high: float | None = None,
           allowed: tuple[str, ...] | None = None, numbers: bool = False) -> Any:  # fmt: skip
    return described(default, text, low=low, high=high, allowed=allowed, numbers=numbers)


@dataclass(frozen=True, slots=True)
class Recipe(Validated):
    """Settings of a training run; invalid values raise `InputError`.

    Args:
        FIELDS
    """

    epochs: int = _field(60, "epochs in all; the cosine schedule ends there", 1, 10**6)
    batch_size: int = _field(8, "crops a step", 1, 2**16)
    crop: int | tuple[int, ...] | None = _field(
        None, "side of the random crops in pixels, or [depth,]height,width; a multiple of what the network divides"
        " by; none: 192, of volumes what the data and memory allow", 1, MOST_SIDE)  # fmt: skip
    crops_per_epoch: int | None = _field(None, "crops an epoch; default one per training image", 1, 10**8)
    labels: str = _field("auto", "masks hold instance ids (any above 0 is foreground) or class ids; auto: class ids if"
                         " the network has several classes", allowed=LABELS)  # fmt: skip
    ignore_index: int | None = _field(None, "mask value to leave out of loss and scores; -1 for signed masks",
                                      -_MOST - 1, _MOST)  # fmt: skip
    class_weights: tuple[float, ...] | None = _field(None, "weights of the classes in the loss, for one class of"
                                                     " background and foreground", numbers=True)  # fmt: skip
    loss: str = _field("bce_dice", "loss of each head",
                       allowed=("bce_dice", "cross_entropy", "dice", "tversky", "focal"))  # fmt: skip
    learning_rate: float = _field(1e-3, "peak of the cosine schedule", 0, 10**6)
    weight_decay: float = _field(1e-4, "of AdamW", 0, 10**6)
    encoder_learning_rate: float = _field(1.0, "times learning_rate, for a backbone's weights, 0..1", 0, 10**6)
    frozen_epochs: int = _field(0, "first epochs, in which a backbone stays as it is", 0, _MOST)
    thaw_epochs: int = _field(0, "epochs from one row's thaw to the next, lowest row first; 0: all at once", 0, _MOST)
    warmup: float = _field(0.05, "share of the steps in which the learning rate rises", 0, 1)
    augment: str = _field("default", "flips, rotation, zoom, colour, gamma, blur, noise", allowed=("default", "none"))
    balance: float = _field(0.5, "0 draws images alike, 1 draws kinds of image (index.csv) alike", 0, 1)
    val_every: int = _field(1, "epochs between validations", 1, _MOST)
    patience: int | None = _field(None, "stop after so many epochs without a better validation", 1, _MOST)
    seed: int = _field(0, "of weights, crops and augmentation", 0, 2**32 - 1)

    def __post_init__(self) -> None:
        if isinstance(self.crop, list):
            object.__setattr__(self, "crop", tuple(self.crop))
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata["numbers"]:
                object.__setattr__(self, item.name, _numbers(item.name, value))
                continue
            several = item.name == "crop" and isinstance(value, tuple) and value
            for one in value if several else (value,):
                _check(item.name, one, item.default, item.metadata)

    def crop_sides(self, rank: int, divisors: ByAxis) -> tuple[int, ...]:
        """The sides of a crop in pixels; where the recipe leaves them open, those of an image.

        Args:
            rank: how many there are.
            divisors: of which each must be a multiple, the reduction of the network's lowest row; or one for each.

        Raises:
            InputError: another number of sides, or one that is no multiple.
        """
        if self.crop is None:
            return padded((DEFAULT_CROP,) * rank, divisors)
        sides = by_axis(self.crop, rank)
        if len(sides) != rank:
            wanted = "height and width" if rank == 2 else "depth, height and width"
            raise InputError(f"Recipe.crop must be one side, or {rank}: {wanted}. Received: {brief(self.crop)}.")
        if padded(sides, divisors) != sides:
            raise InputError(
                f"Recipe.crop must be a multiple of {joined(divisors)}, the reduction of the lowest row. Received:"
                f" {brief(self.crop)}."
            )
        return sides

    def for_classes(self, classes: int) -> "Recipe":
        """This recipe with `labels` in the word that "auto" stands for, in a network of so many classes."""
        return self.replace(labels=resolved_labels(self.labels, classes))


with_field_help(Recipe)


def _numbers(name: str, values: Any) -> tuple[float, ...] | None:
    """Weights as a tuple, lists as JSON has them included."""
    if values is None:
        return None
    given = values if isinstance(values, (list, tuple)) else ()
    if (
        not given
        or any(type(one) not in (int, float) or not 0 <= one <= MOST_WEIGHT for one in given)
        or not any(given)
    ):
        raise InputError(
            f"Recipe.{name} must be numbers from 0 to {MOST_WEIGHT:,}, one a class, and not all 0. Received:"
            f" {brief(values)}."
        )
    return tuple(float(one) for one in given)


def _check(name: str, value: Any, default: Any, rule: Any) -> None:
    if value is None and default is None:
        return
    if rule["allowed"]:
        if value not in rule["allowed"]:
            raise InputError(f"Recipe.{name} must be one of {', '.join(rule['allowed'])}. Received: {brief(value)}.")
        return
    kind = type(1 if default is None else default)
    number = type(value) in ((int, float) if kind is float else (kind,))
    low, high = rule["low"], rule["high"]
    if not number or not (low is None or low <= value <= high):
        wanted = {bool: "True or False", int: "a whole number", float: "a number"}[kind]
        bound = "" if low is None or (number and value > high) else f" of at least {low}"
        most = f" of at most {high:,}" if number and low is not None and value > high else ""
        sides = ", or such numbers for each side" if name == "crop" else ""
        none = ", or None" if default is None else ""
        raise InputError(f"Recipe.{name} must be {wanted}{bound}{most}{sides}{none}. Received: {brief(value)}.")
