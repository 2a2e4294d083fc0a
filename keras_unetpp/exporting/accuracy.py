"""What a smaller file costs: its IoU and Dice against the model's, and how far the masks of both are the same."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_unetpp.exporting.samples import Calibration, Pair
from keras_unetpp.formats.functions import functions, to_mask
from keras_unetpp.formats.signature import Signature
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.training.evaluate import overlap

Run = Callable[[np.ndarray], np.ndarray]
"""A level as a function of a batch of images."""

MIN_AGREEMENT = 0.8
"""Least `agreement` of a file of 8 bits with its model; of sound ones, 0.98 and more is usual."""
NOTHING = 0.01
"""IoU below which a model is said to find nothing."""
LET_PASS = "pass min_agreement=0 to have the file all the same"
_CALLER = 8
"""Stack level of the caller of `export`, seen from what `Losses` does when the writer asks for its images."""
_SMALL = 0.001
"""Part of an image: masks that differ by less than this are not judged by it."""


class Accuracy(NamedTuple):
    """One level: means over images at threshold 0.5 and, with several classes, over those but class 0.

    `iou` and `dice` are those of the file, `model_iou` and `model_dice` those of the model.
    """

    level: str
    iou: float
    dice: float
    model_iou: float
    model_dice: float

    @property
    def drop(self) -> float:
        """What is lost, of IoU or of Dice, whichever is more; below 0 if the file is better."""
        return max(self.model_iou - self.iou, self.model_dice - self.dice)


@dataclass(frozen=True)
class Gate:
    """What a file has to pass before it is put in place: the contract of every format that can lose.

    Attributes:
        model: what the file is made from.
        signature: of model and file.
        pairs: labelled images, on which IoU and Dice are compared; maybe none.
        max_drop: IoU or Dice that a level may lose, 0..1; at 1 a model that finds nothing passes too.
        judged: images on which the masks are compared besides those; None: masks are not compared.
        min_agreement: see `agreement`, the least mean over images, 0..1; 0: any.
        ways_out: what else to do, for an error's text.
    """

    model: keras.Model
    signature: Signature
    pairs: Sequence[Pair]
    max_drop: float
    judged: Calibration | None
    min_agreement: float
    ways_out: tuple[str, ...]

    def measured(self, opened: Callable[[], Mapping[str, Run]]) -> tuple[tuple[Accuracy, ...], str]:
        """What was measured of a file, and what is wrong with it, with all ways out; empty if nothing is.

        Args:
            opened: gives the functions of the file by level.
        """
        images = self._images
        if not images:
            return (), ""
        try:
            runs = opened()
            masks = {name: masks_of(runs[name], images, self.signature) for name in self.signature.names}
        except InputError as error:
            return (), self._told(str(error))
        found = tuple(Accuracy(name, *self._means(masks[name]), *self._means(self._own[name]))
                      for name in masks if self.pairs)  # fmt: skip
        if drops := [f"{one.level} by {one.drop:.4f}" for one in found if one.drop > self.max_drop]:
            fault = f"IoU or Dice on the labelled images drops by more than max_drop={self.max_drop}"
            return found, self._told(f"{fault}: {', '.join(drops)}.", "raise max_drop")
        if self.judged and (fault := disagreement(masks, self._own, self.min_agreement, self.judged.odd, 6)):
            return found, self._told(fault, LET_PASS)
        return found, ""

    def _told(self, fault: str, *more: str) -> str:
        """A fault with all ways out of it."""
        *others, last = (*self.ways_out, *more)
        way_out = f"{', '.join(others)} or {last}" if others else last
        return f"{fault} {way_out[0].upper()}{way_out[1:]}."

    @property
    def _images(self) -> list[np.ndarray]:
        """Labelled ones first."""
        others = self.judged.images if self.judged and self.min_agreement else []
        return [image for image, _ in self.pairs] + others

    @cached_property
    def _own(self) -> dict[str, list[np.ndarray]]:
        """Masks of the model, by level."""
        return {name: masks_of(_values(level, self.signature), self._images, self.signature)
                for name, level in functions(self.model, self.signature).items()}  # fmt: skip

    def _means(self, masks: Sequence[np.ndarray]) -> list[float]:
        """Mean IoU and Dice on the labelled images, which come first."""
        scores = [self._overlap(truth[0], mask) for (_, truth), mask in zip(self.pairs, masks, strict=False)]
        return [float(score) for score in np.mean(scores, axis=0)]

    def check_model(self) -> None:
        """Raise `InputError` if no level finds anything on labelled images, for then nothing can be lost."""
        shown = [index for index, (_, truth) in enumerate(self.pairs) if truth.any()]
        if self.pairs and not shown:
            warnings.warn("The masks of all labelled images are empty, so that IoU and Dice tell little. Give images"
                          " with objects too.", InputWarning, _CALLER)  # fmt: skip
        blind = [name for name in self.signature.names if shown and self._blind(name, shown)]
        if not blind:
            return
        text = f"The model finds nothing on the labelled images: IoU below {NOTHING}, or one class everywhere, at"
        if len(blind) < len(self.signature.names) or self.max_drop >= 1:
            warnings.warn(f"{text} {', '.join(blind)}.", InputWarning, _CALLER)
            return
        raise InputError(
            f"{text} {', '.join(blind)}; so it cannot be shown that the file loses nothing. Give images of pixel values"
            " 0..255 like those that it was trained on, and their masks; or pass max_drop=1."
        )

    def _overlap(self, truth: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
        return overlap(truth, mask, self.signature.classes, exclusive=self.signature.exclusive)

    def _blind(self, name: str, shown: Sequence[int]) -> bool:
        """Whether a level of the model finds nothing of what these labelled images show."""
        truths, masks = [self.pairs[index][1][0] for index in shown], [self._own[name][index] for index in shown]
        scores = [self._overlap(truth, mask)[0] for truth, mask in zip(truths, masks, strict=True)]
        return bool(np.mean(scores) < NOTHING) or (_constant(masks) and not _constant(truths))


def check_min_agreement(value: Any) -> None:
    """Raise `InputError` unless `min_agreement` is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise InputError(f"min_agreement must be a number from 0 to 1. Received: {value!r}.")


def agreement(mask: np.ndarray, other: np.ndarray) -> float | None:
    """IoU of two masks of one image, pixels of another class counting as different; None if both are empty.

    1 - differing / max(union, a thousandth of the pixels), so that a few pixels in an empty image matter little.

    >>> agreement(np.array([[0, 1, 2, 2]]), np.array([[0, 1, 1, 2]]))
    0.6666666666666667
    """
    union = int(np.count_nonzero((mask > 0) | (other > 0)))
    if not union:
        return None
    return 1 - int(np.count_nonzero(mask != other)) / max(union, _SMALL * mask.size)


def disagreement(masks: Mapping[str, Sequence[np.ndarray]], own: Mapping[str, Sequence[np.ndarray]], least: float,
                 odd: bool, stacklevel: int = 4) -> str:  # fmt: skip
    """What is wrong with the masks of a file, by level, given those of its model; empty if nothing is.

    Tells by an `InputWarning` where that cannot be known, since the model's masks are one class everywhere.

    Args:
        masks: of the file.
        own: of the model, of the same images.
        least: the mean `agreement` wanted; 0: any.
        odd: the images hold unexpected values; then what cannot be known is wrong.
        stacklevel: of the caller of `export`, as `warnings.warn` takes it, here.
    """
    if not least:
        return ""
    shares = {name: [agreement(a, b) for a, b in zip(found, own[name], strict=True)] for name, found in masks.items()}
    means = {name: float(np.mean([one for one in each if one is not None] or [1.0])) for name, each in shares.items()}
    if bad := [f"{name} {mean:.4f}" for name, mean in means.items() if mean < least]:
        return (f"The masks of the file are not those of the model: their mean IoU is {', '.join(bad)}, where"
                f" min_agreement={least:g} is required.")  # fmt: skip
    blind = [name for name in masks if _constant(own[name])]
    if not blind:
        return ""
    text = f"The model's masks are one class everywhere at {', '.join(blind)}, so that the file's say little about it."
    if odd and len(blind) == len(masks):
        return f"{text} Give images of pixel values 0..255 with objects in them."
    warnings.warn(f"{text} Give images with objects in them.", InputWarning, stacklevel)
    return ""


def masks_of(run: Run, images: Sequence[np.ndarray], signature: Signature) -> list[np.ndarray]:
    """The masks (*sides[, classes]) of images (1, *sides, channels).

    Raises:
        InputError: the values are not finite.
    """
    return [_mask(run(image), signature)[0] for image in images]


def _constant(masks: Sequence[np.ndarray]) -> bool:
    """Whether every pixel of every mask has the same value."""
    return len({value for mask in masks for value in (mask.min(), mask.max())}) < 2


def _values(level: Callable[[Any], Any], signature: Signature) -> Run:
    """A level of the model, traced once, so that it runs on many images without delay."""
    import tensorflow as tf

    traced = tf.function(level, input_signature=[tf.TensorSpec(signature.shape, tf.float32)], autograph=False)
    return lambda image: traced(image)[signature.output].numpy()


def _mask(values: Any, signature: Signature) -> np.ndarray:
    """What a function gives -> mask."""
    if signature.output == "mask":
        return np.asarray(values)
    if not np.isfinite(values).all():
        raise InputError(f"{signature.output} of the model or the file are NaN or infinite. Load a good checkpoint.")
    if signature.output == "logits" and signature.activation == "sigmoid":
        values = values + 0.5  # a logit above 0 is a probability above 0.5
    return np.asarray(to_mask(values, signature))
