"""Writes a format of the tests: a graph of TensorFlow with its weights in it, in an archive of NumPy."""

from functools import partial

import keras
import numpy as np

from keras_unetpp.formats import FORMATS
from keras_unetpp.formats.rebuild import network


def write(model, path, signature, *, comment="", quantize=None, calibration=()):
    import tensorflow as tf

    FORMATS["frozen"].mode(quantize)
    images = [*calibration]
    FORMATS["frozen"].check_calibrated(quantize, images)
    whole = network(model, signature.levels)

    def attempt(steps):
        values = [(one, np.rint(one.numpy() * steps) / steps if steps else one.numpy()) for one in whole.variables]

        @tf.function(autograph=False)
        def run(image):
            with keras.StatelessScope([(one, tf.constant(value, tf.float32)) for one, value in values]):
                return whole(image, training=False)

        graph = run.get_concrete_function(tf.TensorSpec(signature.shape, tf.float32, name="image")).graph
        with open(path, "wb") as file:
            np.savez(file, graph=np.frombuffer(graph.as_graph_def().SerializeToString(), np.uint8),
                     names=sorted(signature.names), signature=signature.to_json(), comment=comment,
                     steps=steps)  # fmt: skip

    attempt(1 if quantize else 0)
    return partial(attempt, 256) if quantize else None


def mode(path):
    with np.load(path) as file:
        return "coarse" if file["steps"] else None
