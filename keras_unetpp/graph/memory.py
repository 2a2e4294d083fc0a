"""How much memory a model takes to run, read off its graph, so that pruned and reloaded models tell it as well."""

import keras

from keras_unetpp.graph.walk import most_alive, output_shapes, running_order

BYTES_PER_VALUE = 4
OVERHEAD = 1.5
"""Peak of resident memory over the layer outputs alive at once: what kernels use as scratch, and layers run early.

Measured with TensorFlow 2.21 on CPUs at 512 x 512 and 1024 x 1024 pixels: 1.1 to 2.0, about 1.5 for most networks.
"""

SIDE = 256
"""Pixels, or a few more, of the sides at which it is counted: large enough that padded borders weigh little."""


def bytes_per_pixel(model: keras.Model, divisor: int) -> float:
    """Bytes that inference takes for each pixel of the input, the weights aside.

    OVERHEAD * max over layers of the sum of the float32 outputs alive, if each head's layers run after those of the
    heads before it and each output is freed after its last reader. PyTorch, which runs layer by layer, frees none.

    Args:
        model: functional.
        divisor: what every side must be a multiple of, pixels.
    """
    side = -(-SIDE // divisor) * divisor
    outputs = keras.tree.flatten(model.output)
    order = running_order(model, outputs)
    peak = most_alive(order, output_shapes(order, side), outputs, frees=keras.backend.backend() != "torch")
    return OVERHEAD * BYTES_PER_VALUE * peak / side ** (len(model.inputs[0].shape) - 2)
