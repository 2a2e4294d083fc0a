"""Losses for segmentation, each one value per image: cross-entropy, overlap, and their sum.

All share what `SegmentationLoss` says about y, logits, ignored pixels and class weights, and all compute in float32.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unetpp.kit.errors import InputError
from keras_unetpp.training.targets import Target, Tensor, activate, align, is_binary, of_pixels, sides

_SMALLEST = 1e-7


def _register(cls: type) -> type:
    """Register under "losses.", since a metric may have the same name."""
    return keras.saving.register_keras_serializable("keras_unetpp", f"losses.{cls.__name__}")(cls)


class SegmentationLoss(keras.losses.Loss):
    """What every loss here shares: the reading of y and the two terms that losses are made of.

    A prediction is (batch, [depth,] height, width, classes); `keras_unetpp.training.targets.align` says which y fit.
    `call` gives one value per image, (batch,). An image with no valid pixel has loss 0. Where y means nothing, such as
    labels of 0 and 255, the loss is NaN.

    `sample_weight` holds weights of images, (batch,) or (batch, 1), which multiply their losses; or of pixels,
    (batch, *sides) or (batch, *sides, 1). Those are taken as the mean weight of an image over its pixels that count,
    which multiplies its loss, and what each pixel weighs of that mean, in every sum over pixels. So pixels of weight 0
    are left out as those of `ignore_index` are, and the cross-entropy is sum(w * value) / count(w > 0).

    Args:
        from_logits: the prediction is logits, not probabilities.
        multi_label: a pixel may be of several classes: sigmoid and binary cross-entropy for each channel. Otherwise
            classes exclude each other: softmax and categorical cross-entropy. One class is always binary.
        ignore_index: value of y that marks pixels to leave out of loss and gradient.
        class_weights: one weight per class, for one class two: (background, foreground). They multiply the
            cross-entropy of the pixels of the class (with `multi_label`: of its channel), with no division by their
            sum, and weigh the mean of the overlaps over classes (which, for one class, is the foreground's).
        reduction: as in `keras.losses.Loss`.
        name: as in `keras.losses.Loss`.

    Raises:
        InputError: a weight is negative, or all are 0; on call, their number is not that of the classes.
    """

    def __init__(
        self,
        *,
        from_logits: bool = False,
        multi_label: bool = False,
        ignore_index: int | None = None,
        class_weights: Sequence[float] | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.from_logits = from_logits
        self.multi_label = multi_label
        self.ignore_index = ignore_index
        self.class_weights = None if class_weights is None else tuple(float(weight) for weight in class_weights)
        if self.class_weights is not None and (sum(self.class_weights) == 0 or min(self.class_weights) < 0):
            raise InputError(
                f"class_weights must not be negative nor all 0; received {self.class_weights}. "
                "Pass one weight per class, or None for equal weights."
            )

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Loss of a batch, reduced; `sample_weight` of images or pixels, as told above."""
        if sample_weight is None:
            return super().__call__(y_true, y_pred)
        y_true, y_pred, sample_weight = (_tensor(x) for x in (y_true, y_pred, sample_weight))
        weight = of_pixels(sample_weight, y_pred)
        if weight is None:
            return super().__call__(y_true, y_pred, ops.reshape(sample_weight, (-1,)))
        images = align(y_true, y_pred, self.ignore_index, weight).weight
        return super().__call__({"labels": y_true, "weight": weight}, y_pred, images)

    def call(self, y_true: Tensor | dict[str, Tensor], y_pred: Tensor) -> Tensor:
        """Loss of each image, (batch,); with weights of pixels, y is a dict of `labels` and `weight`."""
        y_pred = ops.cast(y_pred, "float32")
        labels, weight = (y_true["labels"], y_true["weight"]) if isinstance(y_true, dict) else (y_true, None)
        target = align(labels, y_pred, self.ignore_index, weight)
        check_class_weights(self.class_weights, y_pred.shape[-1])
        return self.per_image(target, y_pred)

    def per_image(self, target: Target, y_pred: Tensor) -> Tensor:
        """Loss of each image, (batch,), from aligned labels; each subclass states its own."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal loss, read off the constructors, which keep each under its own name."""
        constructors = [cls.__init__ for cls in type(self).__mro__ if issubclass(cls, SegmentationLoss)]
        parameters = [p for init in constructors for p in inspect.signature(init).parameters.values()]
        return {p.name: getattr(self, p.name) for p in parameters if p.name != "self" and p.kind != p.VAR_KEYWORD}

    def _cross_entropy(self, target: Target, y_pred: Tensor, gamma: float = 0.0) -> Tensor:
        """Mean over valid pixels and channels of (1 - p_t)^gamma * -log p_t, (batch,)."""
        if is_binary(y_pred, self.multi_label):
            values = ops.binary_crossentropy(target.classes, y_pred, from_logits=self.from_logits)
        else:
            values = ops.categorical_crossentropy(target.classes, y_pred, from_logits=self.from_logits)[..., None]
        if gamma:
            values = values * _power(-ops.expm1(-values), gamma)
        values = values * self._pixel_weights(target)
        total = ops.sum(ops.mean(values, axis=-1, keepdims=True) * target.valid, axis=(*sides(y_pred), -1))
        return total / ops.maximum(ops.sum(target.valid, axis=(*sides(y_pred), -1)), 1.0)

    def _overlap(
        self,
        target: Target,
        y_pred: Tensor,
        alpha: float = 0.5,
        beta: float = 0.5,
        gamma: float = 1.0,
        smooth: float = 0.5,
        squared: bool = False,
    ) -> Tensor:
        """Mean over classes of (1 - Tversky index)^(1 / gamma), (batch,)."""
        probability = activate(y_pred, self.multi_label) if self.from_logits else y_pred
        truth, axes = target.classes, sides(y_pred)
        hits = ops.sum(truth * probability * target.valid, axis=axes)
        said = ops.sum((ops.square(probability) if squared else probability) * target.valid, axis=axes)
        true = ops.sum((ops.square(truth) if squared else truth) * target.valid, axis=axes)
        index = (hits + smooth) / (hits + alpha * (said - hits) + beta * (true - hits) + smooth)
        loss = 1.0 - index if gamma == 1.0 else _power(1.0 - index, 1.0 / gamma)
        if self.class_weights is None or y_pred.shape[-1] == 1:
            return ops.mean(loss, axis=-1)
        return ops.sum(loss * ops.array(self.class_weights, "float32"), axis=-1) / sum(self.class_weights)

    def _pixel_weights(self, target: Target) -> Tensor:
        """Weights that broadcast to the cross-entropy's values."""
        if self.class_weights is None:
            return 1.0
        weights = ops.array(self.class_weights, "float32")
        if target.classes.shape[-1] == 1:
            return weights[0] + (weights[1] - weights[0]) * target.classes
        return weights if self.multi_label else ops.sum(weights * target.classes, axis=-1, keepdims=True)


@_register
class CrossEntropy(SegmentationLoss):
    """Mean cross-entropy over the pixels of an image.

    -(1/n) sum over pixels of log p_t, with p_t the probability given to the truth: binary for one class and, averaged
    over channels, for `multi_label`; categorical otherwise. Arguments as in `SegmentationLoss`.
    """

    def per_image(self, target: Target, y_pred: Tensor) -> Tensor:
        """Cross-entropy of each image, (batch,)."""
        return self._cross_entropy(target, y_pred)


@_register
class Focal(SegmentationLoss):
    """Cross-entropy that plays down the pixels already right: mean of -(1 - p_t)^gamma log p_t.

    Source: Lin et al., Focal Loss for Dense Object Detection, 2017, eq. (4); eq. (5) with alpha = 0.25 is
    `class_weights=(0.75, 0.25)`. We differ: the mean is over all valid pixels. p_t is read off the cross-entropy, so
    labels must be exactly 0 or 1.

    Args:
        gamma: strength, >= 0; 0 gives `CrossEntropy`.
        **shared: as in `SegmentationLoss`.

    Raises:
        InputError: `gamma` is negative.
    """

    def __init__(self, gamma: float = 2.0, **shared: Any) -> None:
        super().__init__(**shared)
        self.gamma = gamma
        if gamma < 0:
            raise InputError(f"gamma must be 0 or more; received {gamma}. The paper uses 2.")

    def per_image(self, target: Target, y_pred: Tensor) -> Tensor:
        """Focal loss of each image, (batch,)."""
        return self._cross_entropy(target, y_pred, self.gamma)


@_register
class Tversky(SegmentationLoss):
    """One minus the Tversky index of an image, averaged over classes, with the focal exponent.

    (1 - (TP + s) / (TP + alpha FP + beta FN + s))^(1 / gamma), where TP = sum(y p), FP = sum((1 - y) p) and
    FN = sum(y (1 - p)) over the pixels of one image and class.

    Source: Salehi et al., Tversky Loss Function for Image Segmentation, 2017; for gamma, Abraham and Khan, A Novel
    Focal Tversky Loss Function, 2019. We differ by the smoothing s and by a mean over classes where the latter sum.

    Args:
        alpha: weight of false positives.
        beta: weight of false negatives.
        gamma: focal exponent is 1 / gamma; 1 gives the plain loss, the paper's best is 4 / 3.
        smooth: s, in pixels, above 0: what makes an empty mask that is predicted empty lossless.
        **shared: as in `SegmentationLoss`.

    Raises:
        InputError: `alpha`, `beta`, `gamma` or `smooth` is out of range.
    """

    def __init__(
        self, alpha: float = 0.3, beta: float = 0.7, gamma: float = 1.0, smooth: float = 0.5, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.alpha, self.beta, self.gamma, self.smooth = alpha, beta, gamma, smooth
        if min(alpha, beta) < 0 or alpha + beta == 0 or gamma <= 0:
            raise InputError(
                f"alpha and beta must be 0 or more, not both 0, and gamma above 0; received alpha={alpha}, "
                f"beta={beta}, gamma={gamma}. Try alpha=0.3, beta=0.7, gamma=1."
            )
        _check_smooth(smooth)

    def per_image(self, target: Target, y_pred: Tensor) -> Tensor:
        """Tversky loss of each image, (batch,)."""
        return self._overlap(target, y_pred, self.alpha, self.beta, self.gamma, self.smooth)


@_register
class Dice(SegmentationLoss):
    """One minus the soft Dice coefficient of an image, averaged over classes.

    1 - (2 sum(y p) + s) / (sum(y) + sum(p) + s), sums over the pixels of one image and class; `squared` puts y^2 and
    p^2 in the denominator.

    Source: Milletari et al., V-Net, 2016 for the squared form. We differ by the smoothing s.

    Args:
        smooth: s, in pixels, above 0: what makes an empty mask that is predicted empty lossless.
        squared: square the terms of the denominator.
        **shared: as in `SegmentationLoss`.

    Raises:
        InputError: `smooth` is not above 0.
    """

    def __init__(self, smooth: float = 1.0, squared: bool = False, **shared: Any) -> None:
        super().__init__(**shared)
        self.smooth, self.squared = smooth, squared
        _check_smooth(smooth)

    def per_image(self, target: Target, y_pred: Tensor) -> Tensor:
        """Dice loss of each image, (batch,)."""
        # Dice is the Tversky index with both weights 1/2, numerator and denominator halved.
        return self._overlap(target, y_pred, smooth=self.smooth / 2, squared=self.squared)


@_register
class BCEDice(Dice):
    """Half the cross-entropy plus the Dice loss, for each image: the loss of UNet++.

    cross_entropy_weight * cross-entropy + 1 - (2 sum(y p) + s) / (sum(y) + sum(p) + s), over the pixels of an image.

    Source: Zhou et al., UNet++, DLMIA 2018, eq. (3): -(1/N) sum_b (1/2 Y_b log P_b + 2 Y_b P_b / (Y_b + P_b)) over
    images b. We differ: the cross-entropy has its term for the background too and is a mean over pixels; Dice is
    subtracted from 1, so that the loss is never negative; and it is smoothed. Zhou et al., TMI 2020 weigh both terms
    alike and square the denominator: `BCEDice(cross_entropy_weight=1.0, squared=True)` (there pixel by pixel, here
    over the image).

    Args:
        cross_entropy_weight: factor of the cross-entropy, 0 or more. The cross-entropy is binary, or categorical for
            classes that exclude each other.
        **shared: as in `Dice` and `SegmentationLoss`.

    Raises:
        InputError: `cross_entropy_weight` is negative.
    """

    def __init__(self, cross_entropy_weight: float = 0.5, **shared: Any) -> None:
        super().__init__(**shared)
        self.cross_entropy_weight = cross_entropy_weight
        if cross_entropy_weight < 0:
            raise InputError(
                f"cross_entropy_weight must be 0 or more; received {cross_entropy_weight}. UNet++ uses 0.5."
            )

    def per_image(self, target: Target, y_pred: Tensor) -> Tensor:
        """Sum of both terms for each image, (batch,)."""
        return self.cross_entropy_weight * self._cross_entropy(target, y_pred) + super().per_image(target, y_pred)


def _power(base: Tensor, exponent: float) -> Tensor:
    """`base ** exponent` for a base >= 0, kept off 0, where an exponent below 1 has an infinite gradient."""
    return ops.power(ops.maximum(base, _SMALLEST), exponent)


def _check_smooth(smooth: float) -> None:
    if smooth <= 0:
        raise InputError(f"smooth must be above 0, or an empty mask divides 0 by 0; received {smooth}. Try 1e-6.")


def check_class_weights(weights: Sequence[float] | None, classes: int) -> None:
    """Raise `InputError` unless there is one weight for each class, for one class two."""
    wanted = max(classes, 2)
    if weights is not None and len(weights) != wanted:
        raise InputError(
            f"class_weights must hold {wanted} weights for a prediction of {classes} channel(s); "
            f"received {tuple(weights)}. For one channel pass (background, foreground)."
        )


def _tensor(x: Any) -> Tensor:
    """A float32 tensor, as Keras makes them for a loss."""
    return ops.convert_to_tensor(x, dtype="float32")
