"""The few lines that differ between Keras' back ends."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def compiled(model: keras.Model) -> Callable[[np.ndarray], Any]:
    """The model's inference as a compiled function: array in, NumPy arrays in the structure of the outputs out.

    It follows later changes of the model's weights. TensorFlow compiles once for all sizes (once for each if there is
    bilinear up-sampling), JAX once for each, PyTorch runs layer by layer. `Model.predict` would trace anew for each
    shape, keep all outputs, and bring its progress bar.
    """
    backend = keras.backend.backend()
    run = {"tensorflow": _tensorflow, "jax": _jax}.get(backend, _torch)(model)

    def call(x: np.ndarray) -> Any:
        return keras.tree.map_structure(keras.ops.convert_to_numpy, run(np.asarray(x, np.float32)))

    return call


def _tensorflow(model: keras.Model) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    # Keras 3.15 cannot trace bilinear up-sampling of unknown sides.
    any_size = all(getattr(layer, "interpolation", "nearest") == "nearest" for layer in model.layers)
    shape = (None, *(None for _ in model.inputs[0].shape[1:-1]), model.inputs[0].shape[-1])
    signature = [tf.TensorSpec(shape, tf.float32)] if any_size else None
    return tf.function(lambda x: model(x, training=False), input_signature=signature, autograph=False)


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
