"""Runs the format of the tests, in TensorFlow."""

import io

import numpy as np

from keras_unetpp.formats import process
from keras_unetpp.formats.runtime import Opened


def open(path, threads=None, inside=False, trusted=False):
    return opened(path) if inside else process.open("frozen", path, threads)


def opened(path, threads=None, trusted=False):
    with np.load(path) as file:
        data, names, texts = (
            file["graph"].tobytes(),
            list(map(str, file["names"])),
            {"signature": str(file["signature"])},
        )
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(data)
    results = [f"Identity_{number}:0" if number else "Identity:0" for number in range(len(names))]

    def every(image):
        return tf.graph_util.import_graph_def(graph, {"image:0": image}, results)

    run = tf.compat.v1.wrap_function(every, [tf.TensorSpec(None, tf.float32)])

    def level(number):
        return lambda images: run(tf.constant(images, tf.float32))[number].numpy()

    return Opened({name: level(number) for number, name in enumerate(names)}, texts)


def of_bytes(data):
    return opened(io.BytesIO(data))
