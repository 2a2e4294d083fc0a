"""Every row of the tables of how a network is put together: it learns, is cut out, saved and exported."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unetpp.exporting import export
from keras_unetpp.graph.build import build
from keras_unetpp.pruning import prune
from keras_unetpp.spec import ACTIVATIONS, BLOCKS, DOWNS, MERGES, UPS, Spec

TABLES = {"block": BLOCKS, "down": DOWNS, "up": UPS, "merge": MERGES}
ROWS = [(name, key) for name, table in TABLES.items() for key in table]


def spec_of(name, key, **fields):
    return Spec((16, 16, 3), **{"depth": 2, "filters": (4, 6, 8), "norm_groups": 2, **fields, name: key})


def never_moved(model, x):
    """Names of the weights that no gradient of a training step reaches."""
    with tf.GradientTape() as tape:
        loss = tf.add_n([tf.reduce_sum(one * one) for one in keras.tree.flatten(model(x, training=True))])
    gradients = tape.gradient(loss, [one.value for one in model.trainable_variables])
    return [
        one.path
        for one, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None or not np.isfinite(gradient).all() or not np.any(gradient)
    ]


@pytest.mark.parametrize(("name", "key"), ROWS)
def test_a_step_moves_all_weights_and_each_level_is_the_same_cut_out_or_saved(name, key, tmp_path):
    keras.utils.set_random_seed(0)
    model = build(spec_of(name, key))
    x = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    assert never_moved(model, x) == []
    model.save(tmp_path / "model.keras")
    opened, outputs = keras.models.load_model(tmp_path / "model.keras"), model(x)
    assert opened.spec == model.spec
    for level in (1, 2):
        assert np.array_equal(prune(opened, level)(x), outputs[f"L{level}"])


@pytest.mark.sweep
@pytest.mark.parametrize("path", ["model", "model.tflite", "model.onnx"])
@pytest.mark.parametrize("shape", [(16, 16, 3), (8, 8, 8, 1)], ids=["2-D", "3-D"])
@pytest.mark.parametrize(
    ("name", "key"), [*ROWS, *(("activation", key) for key in ("leaky_relu", "relu6") if key in ACTIVATIONS)]
)
def test_it_is_exported(name, key, shape, path, tmp_path, small_backbone):
    row = {**TABLES, "activation": ACTIVATIONS}[name][key]
    if len(shape) - 1 not in row.ranks:
        pytest.skip("has no such rank")
    backbone = {"backbone": small_backbone, "filters": (4, 6)} if len(shape) == 3 else {}
    for more in ({}, backbone):
        spec = spec_of(name, key, input_shape=shape, **more) if more else spec_of(name, key)
        export(build(spec), tmp_path / path)
