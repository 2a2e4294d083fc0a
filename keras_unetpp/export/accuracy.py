"""What a smaller file costs: its IoU and Dice against those of the model it was made from, on labelled images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.artefacts.signature import Signature
from keras_unetpp.errors import InputError
from keras_unetpp.export.samples import Pair
from keras_unetpp.export.signature import to_mask
from keras_unetpp.training.evaluate import overlap


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


def measure(runs: Mapping[str, Callable[[np.ndarray], np.ndarray]], levels: Mapping[str, Callable[[Any], Any]],
            signature: Signature, pairs: Sequence[Pair]) -> tuple[Accuracy, ...]:  # fmt: skip
    """Score every level of a file and of its model.

    Args:
        runs: the file's functions.
        levels: the model's, as `functions` gives them.
        signature: of both.
        pairs: labelled images.
    """

    def means(run: Callable[[np.ndarray], Any]) -> list[float]:
        scores = [overlap(mask, _mask(run(image), signature), signature.classes) for image, mask in pairs]
        return [float(score) for score in np.mean(scores, axis=0)]

    def model(name: str) -> Callable[[np.ndarray], Any]:
        return lambda image: levels[name](image)[signature.output]

    return tuple(Accuracy(name, *means(runs[name]), *means(model(name))) for name in signature.names)


def check_drop(found: Iterable[Accuracy], max_drop: float, hint: str) -> None:
    """Raise `InputError`, ending with `hint`, if a level of the file loses more than `max_drop`, 0..1."""
    bad = [f"{one.level} by {one.drop:.4f}" for one in found if one.drop > max_drop]
    if bad:
        raise InputError(
            f"IoU or Dice on the labelled images drops by more than max_drop={max_drop}: {', '.join(bad)}. {hint}"
        )


def _mask(values: Any, signature: Signature) -> np.ndarray:
    """What a function gives -> mask."""
    if signature.output == "mask":
        return np.asarray(values)
    if signature.output == "logits" and signature.activation == "sigmoid":
        values = values + 0.5  # a logit above 0 is a probability above 0.5
    return np.asarray(to_mask(values, signature))
