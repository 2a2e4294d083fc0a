"""A model's network rebuilt for files: float32, open sides, batch normalisation folded into convolutions."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras.layers import Layer

from keras_unetpp.graph.describe import describe
from keras_unetpp.graph.resampling import L2Pool, Pooling, Strides, average_pool, max_pool, multiplied
from keras_unetpp.graph.walk import inputs


def float32(model: keras.Model) -> keras.Model:
    """The model itself if it computes in float32 at any size, else a copy of the same weights that does."""
    open_sides = not any(model.inputs[0].shape[1:-1])
    if open_sides and all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    return _clone(keras.Model(model.inputs[0], model.output, name=model.name))


def network(model: keras.Model, levels: Sequence[int | str], *, logits: bool = False,
            activation: str = "sigmoid") -> keras.Model:  # fmt: skip
    """A float32 copy for any size that gives some levels as a dict, made of operations that every format has.

    Batch normalisation that alone reads a linear convolution is folded into it, 2-D up-sampling becomes one resizing
    operation, and volumes are pooled as images; the result differs from the model's by rounding only.

    Args:
        model: any model of this package.
        levels: 1..d or "mean", as `select` takes them.
        logits: give the values before the heads' activation.
        activation: "sigmoid" or "softmax": of probabilities where the heads give logits.
    """
    outputs, about = {}, describe(model)
    linear = about.activation == "linear"
    for level in levels:
        name, tensor = about.output(level)
        if logits and not linear:
            tensor = model.get_layer(name).input
        if linear and not logits:
            tensor = keras.layers.Activation(activation, dtype="float32", name=f"{name}_{activation}")(tensor)
        outputs[name] = tensor
    whole = keras.Model(model.inputs[0], outputs, name=model.name)
    folded = _foldable(whole)
    return _clone(whole, lambda layer: _replacement(layer, folded), lambda layer: _weights(layer, folded))


class Resize(Layer):
    """2-D up-sampling by whole factors that can be traced with open sides; Keras 3.15 cannot for bilinear."""

    def __init__(self, factors: tuple[int, int], interpolation: str, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.factors, self.interpolation = factors, interpolation

    def call(self, x: Any) -> Any:
        """(batch, height, width, channels) -> (batch, factor * height, factor * width, channels)."""
        import tensorflow as tf

        sides = tf.shape(x)[1:3] if None in x.shape[1:3] else np.array(x.shape[1:3], np.int32)
        size = sides * np.array(self.factors, np.int32)
        if self.interpolation == "nearest":
            # At whole factors a pixel's corner and its centre say the same, but ONNX deprecates all but the corner.
            return tf.raw_ops.ResizeNearestNeighbor(images=x, size=size)
        return tf.image.resize(x, size, self.interpolation)

    def compute_output_shape(self, shape: Any) -> Any:
        """Both sides multiplied, where they are known."""
        return multiplied(shape, self.factors)


class _Instead(Layer):
    """What stands in place of a layer, under its name, and gives the same shapes."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(name=layer.name, dtype="float32")
        self.shape_of = layer.compute_output_shape

    def compute_output_shape(self, shape: Any) -> Any:
        """That of the layer."""
        return self.shape_of(shape)


class Grouped(_Instead):
    """A convolution in groups of channels as one convolution for each, which every format and device has."""

    def __init__(self, layer: Layer, use_bias: bool) -> None:
        super().__init__(layer)
        self.shape, self.groups, self.activation = layer.kernel.shape, layer.groups, layer.activation
        self.options = {"strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}
        self.kernel = self.add_weight(shape=self.shape, name="kernel")
        self.bias = self.add_weight(shape=self.shape[-1:], name="bias") if use_bias else None

    def call(self, x: Any) -> Any:
        """(batch, *sides, channels) -> (batch, *sides, channels), each group out of its own channels."""
        parts = (keras.ops.split(one, self.groups, axis=-1) for one in (x, keras.ops.convert_to_tensor(self.kernel)))
        x = keras.ops.concatenate([keras.ops.conv(*pair, **self.options) for pair in zip(*parts, strict=True)], axis=-1)
        return self.activation(x if self.bias is None else x + self.bias)


class Slopes(_Instead):
    """Parametric ReLU in volumes, which TFLite's own operation has not."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.alpha = self.add_weight(shape=layer.alpha.shape, name="alpha")

    def call(self, x: Any) -> Any:
        """(batch, *sides, channels), values below 0 times the slope of their channel."""
        return keras.ops.relu(x) + self.alpha * keras.ops.minimum(x, 0.0)


class Pool(_Instead):
    """Pooling of volumes as `in_planes` has it."""

    def __init__(self, layer: Layer, pool: Pooling) -> None:
        super().__init__(layer)
        self.strides, self.pool = layer.strides, pool

    def call(self, x: Any) -> Any:
        """(batch, *sides, channels) -> (batch, *(side / stride), channels)."""
        return in_planes(self.pool, x, self.strides)


def in_planes(pool: Pooling, x: Any, strides: Strides) -> Any:
    """Blocks of a volume pooled within slices, and then across them, as images, which every format pools."""
    _, depth, height, width, channels = keras.ops.shape(x)
    x = pool(keras.ops.reshape(x, (-1, height, width, channels)), strides[1:])
    height, width = height // strides[1], width // strides[2]
    x = pool(keras.ops.reshape(x, (-1, depth, height * width, channels)), (strides[0], 1))
    return keras.ops.reshape(x, (-1, depth // strides[0], height, width, channels))


def _clone(model: keras.Model, replacement: Callable[[Layer], Layer | None] = lambda layer: None,
           weights: Callable[[Layer], list[Any]] = lambda layer: layer.get_weights()) -> keras.Model:  # fmt: skip
    """A plain float32 copy with open sides and other layers or weights where told."""
    replaced: list[Layer] = []

    def layer_of(layer: Any) -> Any:
        if not isinstance(layer, Layer):
            return layer  # an operation of keras.ops, which has neither weights nor a type of its own
        if (other := replacement(layer)) is not None:
            replaced.append(other)
            return other
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    def called(layer: Any, *inputs: Any, **arguments: Any) -> Any:
        # A replacement need not take the arguments of what it replaces.
        return layer(*inputs) if any(layer is other for other in replaced) else layer(*inputs, **arguments)

    shape = model.inputs[0].shape
    image = keras.Input((*(None for _ in shape[1:-1]), shape[-1]), name=model.inputs[0].name)
    clone = keras.models.clone_model(model, input_tensors=image, clone_function=layer_of, call_function=called)
    for layer in model.layers:
        if layer.weights:
            own = clone.get_layer(layer.name)
            own.set_weights([np.asarray(weight, np.float32) for weight in weights(layer)[: len(own.weights)]])
    return clone


def _foldable(model: keras.Model) -> dict[str, Layer]:
    """Batch normalisations of the channels that alone read a linear convolution, by the names of both layers."""
    readers: dict[int, list[Layer | None]] = {id(tensor): [None] for tensor in keras.tree.flatten(model.output)}
    for layer in model.operations:
        for tensor in inputs(layer):
            readers.setdefault(id(tensor), []).append(layer)
    # Weights that several calls share cannot take in what follows one of them. A layer's own list of calls is of no
    # use: it holds those of other models too.
    calls = {layer["name"]: len(layer["inbound_nodes"]) for layer in model.get_config()["layers"]}
    pairs = {}
    for layer in model.layers:
        if type(layer) not in _FACTORS or not _linear(layer) or calls[layer.name] > 1:
            continue
        first, *more = readers.get(id(layer.output), [None])
        if (
            isinstance(first, keras.layers.BatchNormalization)
            and not more
            and _by_channel(first)
            and calls[first.name] == 1
        ):
            pairs[layer.name] = pairs[first.name] = first
    return pairs


def _linear(layer: Layer) -> bool:
    """Whether a convolution stands for itself: no activation, channels last."""
    return bool(layer.activation is keras.activations.linear and layer.data_format == "channels_last")


def _by_channel(norm: Layer) -> bool:
    """Whether a batch normalisation works on the last axis."""
    return norm.axis in (-1, len(norm.output.shape) - 1)


_Factor = Callable[[list[Any], Any], list[Any]]

_FACTORS: dict[type[Layer], _Factor] = {
    **dict.fromkeys((keras.layers.Conv2D, keras.layers.Conv3D), lambda kernels, factor: [kernels[0] * factor]),
    **dict.fromkeys((keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
                    lambda kernels, factor: [kernels[0] * factor[:, None]]),
    keras.layers.DepthwiseConv2D: lambda kernels, factor: [kernels[0] * factor.reshape(kernels[0].shape[2:])],
    keras.layers.SeparableConv2D: lambda kernels, factor: [kernels[0], kernels[1] * factor],
}  # fmt: skip
"""Type of convolution -> its kernels, each output channel multiplied by a factor of its own."""


_POOLINGS: dict[type[Layer], Pooling] = {
    keras.layers.MaxPooling3D: max_pool,
    keras.layers.AveragePooling3D: average_pool,
}
"""Type of pooling of volumes -> the same of images, where its windows do not overlap."""


def _replacement(layer: Layer, folded: dict[str, Layer]) -> Layer | None:
    if isinstance(layer, keras.layers.BatchNormalization) and layer.name in folded:
        return keras.layers.Activation("linear", dtype="float32", name=layer.name)
    if getattr(layer, "groups", 1) > 1 and type(layer) in _FACTORS and layer.data_format == "channels_last":
        return Grouped(layer, use_bias=layer.use_bias or layer.name in folded)
    if isinstance(layer, keras.layers.PReLU) and len(layer.output.shape) > 4:
        return Slopes(layer)
    if layer.name in folded and not layer.use_bias:
        return type(layer).from_config({**layer.get_config(), "use_bias": True, "dtype": "float32"})
    if type(layer) in _POOLINGS and _in_blocks(layer):
        return Pool(layer, _POOLINGS[type(layer)])
    if isinstance(layer, L2Pool) and len(layer.strides) > 2:
        return L2Pool(layer.strides, partial(in_planes, average_pool), name=layer.name, dtype="float32")
    if isinstance(layer, keras.layers.UpSampling2D) and layer.data_format == "channels_last":
        return Resize(layer.size, layer.interpolation, layer.name)
    return None


def _in_blocks(layer: Layer) -> bool:
    """Whether a pooling takes blocks side by side, channels last."""
    blocks = tuple(layer.pool_size) == tuple(layer.strides) and layer.padding == "valid"
    return bool(blocks and layer.data_format == "channels_last")


def _weights(layer: Layer, folded: dict[str, Layer]) -> list[Any]:
    """A layer's weights; of a convolution, with the normalisation after it: w' = w g / s, b' = (b - m) g / s + beta.

    s is the square root of the moving variance + epsilon, m the moving mean, g and beta the scale and the centre; b is
    0 where the convolution has none.
    """
    norm = folded.get(layer.name)
    if norm is None or norm is layer:
        return list(layer.get_weights())
    value = {name: np.asarray(getattr(norm, name), np.float64) for name in ("moving_mean", "moving_variance")}
    factor = 1 / np.sqrt(value["moving_variance"] + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma, np.float64)
    kernels = layer.get_weights()
    bias = kernels.pop() if layer.use_bias else 0.0
    centre = np.asarray(norm.beta, np.float64) if norm.center else 0.0
    return [*_FACTORS[type(layer)](kernels, factor), (bias - value["moving_mean"]) * factor + centre]
