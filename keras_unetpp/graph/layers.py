"""One table: the kind of a plan's row -> the stock Keras layer that computes it."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from keras_unetpp.spec.backbone_table import SCALINGS
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.plan import Row, value, variables


def make(row: Row, spec: Spec) -> keras.layers.Layer:
    """The layer of a row, carrying the row's name."""
    return _MAKERS[row.kind](row, spec)


def _ranked(name: str, spec: Spec) -> Callable[..., keras.layers.Layer]:
    return getattr(layers, f"{name}{spec.rank}D")


def _conv(row: Row, spec: Spec) -> keras.layers.Layer:
    channels = value(row.channels, variables(spec))
    start = "glorot_uniform" if row.part.startswith("L") else "he_normal"
    return _ranked("Conv", spec)(channels, row.kernel, padding="same", kernel_initializer=start, name=row.name)


def _transpose(row: Row, spec: Spec) -> keras.layers.Layer:
    channels = value(row.channels, variables(spec))
    return getattr(layers, f"Conv{spec.rank}DTranspose")(channels, row.kernel, strides=2, padding="same", name=row.name)


def _up_sampling(row: Row, spec: Spec) -> keras.layers.Layer:
    options = {"interpolation": row.kind} if spec.rank == 2 else {}
    return _ranked("UpSampling", spec)(2, name=row.name, **options)


def _standardize(row: Row, spec: Spec) -> keras.layers.Layer:
    """Each image by its own mean and variance, all channels alike.

    The constant only keeps a blank image at 0: by default it is so small that an image in other units, or of low
    contrast, gives what the same image of 0..255 does, and yet more than what float32 leaves of a blank one.
    """
    axes, epsilon = tuple(range(1, spec.rank + 2)), spec.standardize_epsilon
    return layers.LayerNormalization(
        axis=axes, epsilon=epsilon, center=False, scale=False, dtype="float32", name=row.name
    )


def _affine(row: Row, spec: Spec) -> keras.layers.Layer:
    """Pixel values, or those that one image's statistics have normalised, in the range a backbone was trained on.

    Channels of other images than RGB take those of red, green and blue in turn; a single one takes their mean.
    """
    encoder = spec.encoder
    mean, std = np.array(encoder.mean if encoder else 0.0), np.array(encoder.std if encoder else 1.0)
    natural = SCALINGS["torch"] if spec.normalization == "standardize" else (0.0, 1.0)
    scale, offset = np.broadcast_arrays(natural[1] / std, (natural[0] - mean) / std)
    pair = [x.mean(keepdims=True) if spec.channels == 1 else np.resize(x, spec.channels) for x in (scale, offset)]
    return layers.Rescaling(*(x.tolist() for x in pair), name=row.name)


def _batch(row: Row, spec: Spec) -> keras.layers.Layer:
    return layers.BatchNormalization(momentum=spec.norm_momentum, epsilon=spec.norm_epsilon, name=row.name)


def _group(row: Row, spec: Spec) -> keras.layers.Layer:
    groups = spec.norm_groups if row.kind == "group" else -1
    return layers.GroupNormalization(groups, epsilon=spec.norm_epsilon, name=row.name)


_MAKERS: dict[str, Callable[[Row, Spec], keras.layers.Layer]] = {
    "input": lambda row, spec: layers.InputLayer(spec.input_shape, name=row.name),
    "rescale": lambda row, spec: layers.Rescaling(1 / 255, name=row.name),
    "standardize": _standardize,
    "affine": _affine,
    "conv": _conv,
    "batch": _batch,
    "group": _group,
    "instance": _group,
    "layer": lambda row, spec: layers.LayerNormalization(epsilon=spec.norm_epsilon, name=row.name),
    "activation": lambda row, spec: layers.Activation(spec.activation, name=row.name),
    "dropout": lambda row, spec: layers.Dropout(spec.dropout, name=row.name),
    "max_pool": lambda row, spec: _ranked("MaxPooling", spec)(2, name=row.name),
    "transpose": _transpose,
    "nearest": _up_sampling,
    "bilinear": _up_sampling,
    "concat": lambda row, spec: layers.Concatenate(name=row.name),
    "output": lambda row, spec: layers.Activation(spec.output_activation, dtype="float32", name=row.name),
    "average": lambda row, spec: layers.Average(dtype="float32", name=row.name),
}
