"""The few lines that differ between Keras' back ends."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def compiled(model: keras.Model) -> Callable[[np.ndarray], Any]:
    """The model's inference as a compiled function: array in, NumPy arrays in the structure of the outputs out.

    `Model.predict` would trace anew for each shape, keep all outputs, and bring its progress bar.
    """
    backend = keras.backend.backend()
    run: Callable[[Any], Any]
    if backend == "tensorflow":
        import tensorflow as tf

        shape = (None, *[None] * (len(model.inputs[0].shape) - 2), model.inputs[0].shape[-1])
        run = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)])
    elif backend == "jax":
        import jax

        state = ([v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables])
        step = jax.jit(lambda state, x: model.stateless_call(*state, x, training=False)[0])
        run = lambda x: step(state, x)  # noqa: E731
    else:
        import torch

        def run(x: Any) -> Any:
            with torch.no_grad():
                return model(x, training=False)

    def call(x: np.ndarray) -> Any:
        return keras.tree.map_structure(keras.ops.convert_to_numpy, run(np.asarray(x, "float32")))

    return call
