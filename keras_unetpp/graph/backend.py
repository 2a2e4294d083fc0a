"""The few lines that differ between Keras' back ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import keras
import numpy as np

from keras_unetpp.compat.keras import resizing_by

_tracing = Lock()


def compiled(model: keras.Model) -> Callable[[np.ndarray], Any]:
    """The model's inference as a compiled function: array in, NumPy arrays in the structure of the outputs out.

    It follows later changes of the model's weights. TensorFlow compiles once for all sizes, JAX once for each, PyTorch
    runs layer by layer. `Model.predict` would trace anew for each shape, keep all outputs, and bring its progress bar.
    """
    backend = keras.backend.backend()
    run = {"tensorflow": _tensorflow, "jax": _jax}.get(backend, _torch)(model)

    def call(x: np.ndarray) -> Any:
        return keras.tree.map_structure(keras.ops.convert_to_numpy, run(np.asarray(x, np.float32)))

    return call


def _tensorflow(model: keras.Model) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    spec = tf.TensorSpec((None, *(None for _ in model.inputs[0].shape[1:-1]), model.inputs[0].shape[-1]), tf.float32)

    @cache
    def traced() -> Any:
        with _tracing, _any_sides(model):
            # A concrete function is never traced again, and so draws no warnings that it is traced too often.
            return tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(spec)

    def run(x: np.ndarray) -> Any:
        return traced()(tf.constant(x))

    return run


@contextmanager
def _any_sides(model: keras.Model) -> Iterator[None]:
    """Let smooth up-sampling be traced for unknown sides, which Keras 3.15 cannot: it compares them with 0."""
    import tensorflow as tf

    def resized(x: Any, height: int, width: int, data_format: str, interpolation: str) -> Any:
        return tf.image.resize(x, tf.shape(x)[1:3] * [height, width], interpolation)

    smooth = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.UpSampling2D)
        and layer.interpolation != "nearest"
        and layer.data_format == "channels_last"
    ]
    with resizing_by(smooth, resized):
        yield


def _jax(model: keras.Model) -> Callable[[np.ndarray], Any]:
    import jax

    @jax.jit
    def step(trainable: Any, others: Any, x: np.ndarray) -> Any:
        return model.stateless_call(trainable, others, x, training=False)[0]

    def run(x: np.ndarray) -> Any:
        variables = (model.trainable_variables, model.non_trainable_variables)
        return step(*([variable.value for variable in group] for group in variables), x)

    return run


def _torch(model: keras.Model) -> Callable[[np.ndarray], Any]:
    import torch

    def run(x: np.ndarray) -> Any:
        with torch.no_grad():
            return model(x, training=False)

    return run
