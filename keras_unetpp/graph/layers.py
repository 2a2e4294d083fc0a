"""One table: the class of an operation -> the Keras layer that computes it, a stock one where Keras has it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_unetpp.graph import bins
from keras_unetpp.graph.resampling import Alike, L2Pool, MaxPlace, PixelShuffle, Unpool
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import activations, ops, resampling, whole
from keras_unetpp.spec.backbone_table import SCALINGS
from keras_unetpp.spec.facts import OPERATIONS
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.forms import value
from keras_unetpp.spec.plan import variables
from keras_unetpp.spec.rows import Row

Maker = Callable[[Any, Row, Spec], keras.layers.Layer]
"""An operation, its row and the Spec -> the layer."""


def make(row: Row, spec: Spec) -> keras.layers.Layer:
    """The layer of a row, carrying the row's name."""
    return MAKERS[type(row.operation)](row.operation, row, spec)


def _ranked(name: str, spec: Spec) -> Callable[..., keras.layers.Layer]:
    return getattr(layers, f"{name}{spec.rank}D")


def _conv(operation: ops.Conv, row: Row, spec: Spec) -> keras.layers.Layer:
    options: dict[str, Any] = {
        **{"strides": operation.strides or 1, "dilation_rate": operation.dilation, "use_bias": operation.bias},
        **{"padding": "same", "name": row.name},
    }
    if operation.depthwise:
        # Keras' other initializers take all channels for inputs of each output, which here has one of them.
        start = keras.initializers.VarianceScaling(mode="fan_out")
        return _ranked("DepthwiseConv", spec)(operation.kernel, depthwise_initializer=start, **options)
    initializer = operation.initializer if operation.alike == 1 else Alike(operation.initializer, operation.alike)
    options |= {"groups": operation.groups, "kernel_initializer": initializer}
    return _ranked("Conv", spec)(value(row.channels, variables(spec)), operation.kernel, **options)


def _transpose(operation: ops.TransposedConv, row: Row, spec: Spec) -> keras.layers.Layer:
    make_one = getattr(layers, f"Conv{spec.rank}DTranspose")
    options = {"strides": operation.strides, "padding": "same", "name": row.name}
    return make_one(value(row.channels, variables(spec)), operation.kernel, **options)


def _nearest(operation: ops.Nearest, row: Row, spec: Spec) -> keras.layers.Layer:
    return _ranked("UpSampling", spec)(operation.strides, name=row.name)


def _bilinear(operation: ops.Bilinear, row: Row, spec: Spec) -> keras.layers.Layer:
    return layers.UpSampling2D(operation.strides, interpolation="bilinear", name=row.name)


def _standardize(operation: ops.Standardize, row: Row, spec: Spec) -> keras.layers.Layer:
    """Each image by its own mean and variance, all channels alike.

    The constant only keeps a blank image at 0: by default it is so small that an image in other units, or of low
    contrast, gives what the same image of 0..255 does, and yet more than what float32 leaves of a blank one.
    """
    axes, epsilon = tuple(range(1, spec.rank + 2)), spec.standardize_epsilon
    return layers.LayerNormalization(
        axis=axes, epsilon=epsilon, center=False, scale=False, dtype="float32", name=row.name
    )


def _affine(operation: ops.Affine, row: Row, spec: Spec) -> keras.layers.Layer:
    """Pixel values, or those that one image's statistics have normalised, in the range a backbone was trained on.

    Channels of other images than RGB take those of red, green and blue in turn; a single one takes their mean.
    """
    encoder = spec.encoder
    mean, std = np.array(encoder.mean if encoder else 0.0), np.array(encoder.std if encoder else 1.0)
    natural = SCALINGS["torch"] if spec.normalization == "standardize" else (0.0, 1.0)
    scale, offset = np.broadcast_arrays(natural[1] / std, (natural[0] - mean) / std)
    pair = [x.mean(keepdims=True) if spec.channels == 1 else np.resize(x, spec.channels) for x in (scale, offset)]
    return layers.Rescaling(*(x.tolist() for x in pair), name=row.name)


def _batch(operation: ops.BatchNorm, row: Row, spec: Spec) -> keras.layers.Layer:
    return layers.BatchNormalization(momentum=spec.norm_momentum, epsilon=spec.norm_epsilon, name=row.name)


def _group(operation: ops.GroupNorm, row: Row, spec: Spec) -> keras.layers.Layer:
    channels = value(row.channels, variables(spec))
    if channels % spec.norm_groups:
        raise InputError(
            f"Spec.norm_groups must divide the {channels} channels of layer {row.name}. Received: {spec.norm_groups}."
        )
    return layers.GroupNormalization(spec.norm_groups, epsilon=spec.norm_epsilon, name=row.name)


def _prelu(operation: activations.PRelu, row: Row, spec: Spec) -> keras.layers.Layer:
    """Slopes begin at 0.25, as in the paper; pixels share them, so that sides stay open."""
    sides = tuple(range(1, spec.rank + 1))
    return layers.PReLU(keras.initializers.Constant(0.25), shared_axes=sides, name=row.name)


MAKERS: dict[type, Maker] = {
    ops.Input: lambda _, row, spec: layers.InputLayer(spec.input_shape, name=row.name),
    ops.Rescale: lambda _, row, spec: layers.Rescaling(1 / 255, name=row.name),
    ops.Standardize: _standardize,
    ops.Affine: _affine,
    ops.Conv: _conv,
    ops.TransposedConv: _transpose,
    ops.BatchNorm: _batch,
    ops.GroupNorm: _group,
    ops.InstanceNorm: lambda _, row, spec: layers.GroupNormalization(-1, epsilon=spec.norm_epsilon, name=row.name),
    ops.LayerNorm: lambda _, row, spec: layers.LayerNormalization(epsilon=spec.norm_epsilon, name=row.name),
    activations.Activation: lambda operation, row, spec: layers.Activation(operation.function, name=row.name),
    activations.LeakyRelu: lambda _, row, spec: layers.LeakyReLU(spec.activation_slope, name=row.name),
    activations.Slope: lambda _, row, spec: layers.Rescaling(spec.activation_slope, name=row.name),
    activations.PRelu: _prelu,
    ops.Dropout: lambda _, row, spec: layers.Dropout(spec.dropout, name=row.name),
    ops.MaxPool: lambda operation, row, spec: _ranked("MaxPooling", spec)(operation.strides, name=row.name),
    ops.AveragePool: lambda operation, row, spec: _ranked("AveragePooling", spec)(operation.strides, name=row.name),
    whole.GlobalPool: lambda _, row, spec: _ranked("GlobalAveragePooling", spec)(keepdims=True, name=row.name),
    whole.BinPool: lambda operation, row, spec: bins.BinPool(operation.bins, name=row.name),
    whole.Spread: lambda _, row, spec: bins.Spread(name=row.name),
    ops.Nearest: _nearest,
    ops.Bilinear: _bilinear,
    resampling.L2Pool: lambda operation, row, spec: L2Pool(operation.strides, name=row.name),
    resampling.MaxPlace: lambda operation, row, spec: MaxPlace(operation.strides, name=row.name),
    resampling.Unpool: lambda operation, row, spec: Unpool(operation.strides, name=row.name),
    resampling.PixelShuffle: lambda operation, row, spec: PixelShuffle(operation.strides, name=row.name),
    ops.Concat: lambda _, row, spec: layers.Concatenate(name=row.name),
    ops.Add: lambda _, row, spec: layers.Add(name=row.name),
    ops.Maximum: lambda _, row, spec: layers.Maximum(name=row.name),
    ops.Multiply: lambda _, row, spec: layers.Multiply(name=row.name),
    ops.Output: lambda _, row, spec: layers.Activation(spec.output_activation, dtype="float32", name=row.name),
    ops.Average: lambda _, row, spec: layers.Average(dtype="float32", name=row.name),
}
"""A maker for each operation; a backbone's is `graph.encoders.encode`, since it makes many layers."""

if missing := [one.__name__ for one in OPERATIONS if one not in MAKERS and one is not ops.Backbone]:
    raise TypeError(f"graph.layers lacks a maker for {', '.join(missing)}.")
