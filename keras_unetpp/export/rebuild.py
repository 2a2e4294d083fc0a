"""A model's network rebuilt for files: float32, open sides, batch normalisation folded into convolutions."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras.layers import Layer

from keras_unetpp.graph.heads import head_activation, select
from keras_unetpp.spec.plan import head_name


def float32(model: keras.Model) -> keras.Model:
    """The model itself if it computes in float32 at any size, else a copy of the same weights that does."""
    open_sides = not any(model.inputs[0].shape[1:-1])
    if open_sides and all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    return _clone(keras.Model(model.inputs[0], model.output, name=model.name))


def network(model: keras.Model, levels: Sequence[int | str], *, logits: bool = False,
            activation: str = "sigmoid") -> keras.Model:  # fmt: skip
    """A float32 copy for any size that gives some levels as a dict, made of operations that every format has.

    Batch normalisation right after a convolution is folded into it, and 2-D up-sampling becomes one resizing
    operation; the result differs from the model's by rounding only.

    Args:
        model: any model of this package.
        levels: 1..d or "mean", as `select` takes them.
        logits: give the values before the heads' activation.
        activation: "sigmoid" or "softmax": of probabilities where the heads give logits.
    """
    outputs = {}
    for level in levels:
        tensor, name = select(model, level).output, head_name(level) if isinstance(level, int) else level
        linear = head_activation(model) == "linear"
        if logits and not linear:
            tensor = model.get_layer(name).input
        if linear and not logits:
            tensor = keras.layers.Activation(activation, dtype="float32", name=f"{name}_{activation}")(tensor)
        outputs[name] = tensor
    whole = keras.Model(model.inputs[0], outputs, name=model.name)
    folded = _foldable(whole)
    return _clone(whole, lambda layer: _replacement(layer, folded), lambda layer: _weights(layer, folded))


class Resize(Layer):
    """2-D up-sampling by 2 that can be traced with open sides; Keras 3.15 cannot for bilinear."""

    def __init__(self, interpolation: str, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.interpolation = interpolation

    def call(self, x: Any) -> Any:
        """(batch, height, width, channels) -> (batch, 2 height, 2 width, channels)."""
        import tensorflow as tf

        known, sides = x.shape[1:3], tf.shape(x)[1:3]
        size = [2 * (sides[axis] if known[axis] is None else known[axis]) for axis in range(2)]
        if self.interpolation == "nearest":
            # At factor 2 a pixel's corner and its centre say the same, but ONNX deprecates all but the corner.
            return tf.raw_ops.ResizeNearestNeighbor(images=x, size=tf.stack(size))
        return tf.image.resize(x, size, self.interpolation)

    def compute_output_shape(self, shape: Any) -> Any:
        """Both sides doubled, where they are known."""
        return (shape[0], *(side and 2 * side for side in shape[1:3]), shape[3])


def _clone(model: keras.Model, replacement: Callable[[Layer], Layer | None] = lambda layer: None,
           weights: Callable[[Layer], list[Any]] = lambda layer: layer.get_weights()) -> keras.Model:  # fmt: skip
    """A plain float32 copy with open sides and other layers or weights where told."""

    def layer_of(layer: Layer) -> Layer:
        config = {**layer.get_config(), "dtype": "float32"}
        return replacement(layer) or type(layer).from_config(config)

    shape = model.inputs[0].shape
    image = keras.Input((*(None for _ in shape[1:-1]), shape[-1]), name=model.inputs[0].name)
    # Without the arguments of the calls: a replacement need not take those of what it replaces.
    options = {"clone_function": layer_of, "call_function": lambda layer, x, **arguments: layer(x)}
    clone = keras.models.clone_model(model, input_tensors=image, **options)
    for layer in model.layers:
        if layer.weights:
            own = clone.get_layer(layer.name)
            own.set_weights([np.asarray(weight, np.float32) for weight in weights(layer)[: len(own.weights)]])
    return clone


def _foldable(model: keras.Model) -> dict[str, Layer]:
    """Batch normalisations that alone read a linear convolution, by the names of both layers of each pair."""
    readers: dict[int, list[Layer | None]] = {}
    for layer in model.layers:
        for tensor in [] if isinstance(layer, keras.layers.InputLayer) else keras.tree.flatten(layer.input):
            readers.setdefault(id(tensor), []).append(layer)
    convolutions = (keras.layers.Conv2D, keras.layers.Conv3D)
    pairs = {}
    for layer in model.layers:
        if type(layer) not in convolutions or not layer.use_bias or layer.activation is not keras.activations.linear:
            continue
        first, *more = readers.get(id(layer.output), [None])
        if isinstance(first, keras.layers.BatchNormalization) and not more:
            pairs[layer.name] = pairs[first.name] = first
    return pairs


def _replacement(layer: Layer, folded: dict[str, Layer]) -> Layer | None:
    if isinstance(layer, keras.layers.BatchNormalization) and layer.name in folded:
        return keras.layers.Activation("linear", dtype="float32", name=layer.name)
    if isinstance(layer, keras.layers.UpSampling2D):
        return Resize(layer.interpolation, layer.name)
    return None


def _weights(layer: Layer, folded: dict[str, Layer]) -> list[Any]:
    """A layer's weights; of a convolution, with the normalisation after it: w' = w g / s, b' = (b - m) g / s + beta.

    s is the square root of the moving variance + epsilon, m the moving mean, g and beta the scale and the centre.
    """
    norm = folded.get(layer.name)
    if norm is None or norm is layer:
        return list(layer.get_weights())
    value = {name: np.asarray(getattr(norm, name), np.float64) for name in ("moving_mean", "moving_variance")}
    factor = 1 / np.sqrt(value["moving_variance"] + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma, np.float64)
    kernel, bias = layer.get_weights()
    return [kernel * factor, (bias - value["moving_mean"]) * factor + (np.asarray(norm.beta) if norm.center else 0)]
