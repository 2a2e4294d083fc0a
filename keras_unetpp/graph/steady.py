"""Batch statistics that do not depend on how a back end adds many numbers up."""

from typing import Any

import keras

from keras_unetpp.compat.keras import take_moments_by


def steady(layer: keras.layers.BatchNormalization) -> None:
    """Let a batch normalisation take its mean and variance one axis after the other.

    TensorFlow on CPU adds all pixels of a batch in one float32 run, which leaves the variance up to 1e-5 off; sums of
    sums are some 50 times closer, and keep training-mode outputs within 1e-5 of PyTorch's. The layer stays a stock one:
    nothing of this is saved, and inference does not use it.
    """

    def mean(x: Any) -> Any:
        rank = len(x.shape)
        for axis in (axis for axis in range(rank) if axis != layer.axis % rank):
            x = keras.ops.mean(x, axis=axis, keepdims=True)
        return x

    def moments(inputs: Any, mask: Any) -> tuple[Any, Any]:
        center = mean(inputs)
        variance = mean(keras.ops.square(inputs - keras.ops.stop_gradient(center)))
        return keras.ops.reshape(center, (-1,)), keras.ops.reshape(variance, (-1,))

    take_moments_by(layer, moments)
