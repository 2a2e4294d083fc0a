"""What a smaller file costs: its IoU and Dice against those of the model it was made from, on labelled images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_unetpp.artefacts.signature import Signature
from keras_unetpp.errors import InputError
from keras_unetpp.export.samples import Pair
from keras_unetpp.export.signature import to_mask
from keras_unetpp.training.evaluate import overlap

Run = Callable[[np.ndarray], np.ndarray]
"""A level as a function of a batch of images."""


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


def within(attempts: Iterable[Callable[[], bytes]], opened: Callable[[bytes], Mapping[str, Run]],
           levels: Mapping[str, Callable[[Any], Any]], signature: Signature, pairs: Sequence[Pair], max_drop: float,
           way_out: str) -> tuple[bytes, tuple[Accuracy, ...]]:  # fmt: skip
    """The first of several files that loses no more than allowed: the contract of every format that can lose.

    Args:
        attempts: each makes the bytes of a file; what keeps more in float comes later.
        opened: the functions of a file by level.
        levels: the model's, as `functions` gives them.
        signature: of both.
        pairs: labelled images; without any, nothing is measured and the first file is it.
        max_drop: IoU or Dice that a level may lose, 0..1.
        way_out: end of the error's text.

    Raises:
        InputError: all of them lose more.
    """
    found: tuple[Accuracy, ...] = ()
    own = {name: _means(_values(levels[name], signature), signature, pairs) for name in signature.names if pairs}
    for attempt in attempts:
        data = attempt()
        runs = opened(data) if pairs else {}
        found = tuple(Accuracy(name, *_means(runs[name], signature, pairs), *own[name]) for name in own)
        bad = [f"{one.level} by {one.drop:.4f}" for one in found if one.drop > max_drop]
        if not bad:
            return data, found
    raise InputError(
        f"IoU or Dice on the labelled images drops by more than max_drop={max_drop}: {', '.join(bad)}. {way_out}"
    )


def _values(level: Callable[[Any], Any], signature: Signature) -> Run:
    """A level of the model, traced once, so that it runs on many images without delay."""
    import tensorflow as tf

    traced = tf.function(level, input_signature=[tf.TensorSpec(signature.shape, tf.float32)], autograph=False)
    return lambda image: traced(image)[signature.output].numpy()


def _means(run: Run, signature: Signature, pairs: Sequence[Pair]) -> list[float]:
    """Mean IoU and Dice."""
    scores = [
        overlap(mask[0], _mask(run(image), signature)[0], signature.classes, exclusive=signature.exclusive)
        for image, mask in pairs
    ]
    return [float(score) for score in np.mean(scores, axis=0)]


def _mask(values: Any, signature: Signature) -> np.ndarray:
    """What a function gives -> mask."""
    if signature.output == "mask":
        return np.asarray(values)
    if signature.output == "logits" and signature.activation == "sigmoid":
        values = values + 0.5  # a logit above 0 is a probability above 0.5
    return np.asarray(to_mask(values, signature))
