"""Rows of the tables of how a network is put together: each learns, is cut out, saved and exported."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unetpp.exporting import export
from keras_unetpp.graph.build import build
from keras_unetpp.pruning import prune
from keras_unetpp.spec import ACTIVATIONS, BLOCKS, DOWNS, MERGES, UPS, Spec
from keras_unetpp.tuning.tflite_bytes import tflite_bytes

TABLES = {"block": BLOCKS, "down": DOWNS, "up": UPS, "merge": MERGES}
USUAL = {"conv", "max", "concat", "transpose", "nearest", "bilinear"}
"""What the networks of all other tests have."""

ROWS = [(name, key) for name, table in TABLES.items() for key in table if key not in USUAL]
LEAKY = {"activation": "leaky_relu", "activation_slope": 0.01}
TOGETHER = {
    "residual, dense": {"block": "residual", "decoder_block": "dense", "down": "average", "merge": "gate",
                        "activation": "prelu", "norm": "batch", "bias": False},
    "separable, inverted": {"block": "separable", "decoder_block": "inverted", "down": "strided", "merge": "add",
                            "norm": "none", **LEAKY},
    "grouped": {"block": "grouped", "down": "strided", "up": "pixel_shuffle", "merge": "none", **LEAKY},
    "residual, preact": {"block": "residual", "decoder_block": "preact", "down": "max", "merge": "concat",
                         "block_layers": (3, 2, 1), "norm": "none", **LEAKY},
}  # fmt: skip
"""Networks that between them have all rows."""


def spec_of(shape=(16, 16, 3), **fields):
    return Spec(shape, **{"depth": 2, "filters": (4, 6, 8), "growth_rate": 4, "cardinality": 2, **fields})


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


@pytest.mark.parametrize(("name", "key"), [*ROWS, ("activation", "prelu")])
def test_a_step_moves_all_weights_and_each_level_is_the_same_cut_out_or_saved(name, key, tmp_path):
    keras.utils.set_random_seed(0)
    model = build(spec_of(**{name: key}))
    x = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    assert never_moved(model, x) == []
    model.save(tmp_path / "model.keras")
    opened, outputs = keras.models.load_model(tmp_path / "model.keras"), model(x)
    assert opened.spec == model.spec
    for level in (1, 2):
        assert np.array_equal(prune(opened, level)(x), outputs[f"L{level}"])


def test_slopes_hold_after_a_sum_in_a_compiled_function():
    """TensorFlow's graph optimizer joins convolution, sum and leaky ReLU, and takes 0.2 for any slope."""
    keras.utils.set_random_seed(0)
    model = build(spec_of(depth=1, filters=(4, 6), block="residual", norm="none", **LEAKY))
    x = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    assert np.abs(model.predict(x, verbose=0)["L1"] - model(x)["L1"]).max() < 1e-6


def test_the_networks_that_are_exported_have_all_rows():
    for name, table in {**TABLES, "activation": {"leaky_relu", "prelu"}}.items():
        found = {fields.get(name, None) for fields in TOGETHER.values()}
        found |= {fields.get("decoder_block") for fields in TOGETHER.values()} if name == "block" else set()
        assert found >= set(table) - USUAL


@pytest.mark.sweep
@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 16, 16, 1)], ids=["2-D", "3-D"])
@pytest.mark.parametrize("name", TOGETHER)
def test_all_rows_are_exported(name, shape, tmp_path, small_backbone):
    rank = len(shape) - 1
    fields = {
        field: value
        for field, value in TOGETHER[name].items()
        if rank in getattr({**TABLES, "decoder_block": BLOCKS, "activation": ACTIVATIONS}.get(field, {}).get(value),
                           "ranks", (rank,))
    }  # fmt: skip
    specs = [spec_of(shape, **fields)]
    if rank == 2:
        specs.append(spec_of(filters=(4, 6), backbone=small_backbone, **fields))
    for number, spec in enumerate(specs):
        model = build(spec)
        pooled = rank == 3 and spec.down != "strided"  # TFLite pools images alone
        for path in ("model.onnx", "saved", *(() if pooled else ("model.tflite",))):
            export(model, tmp_path / f"{number}_{path}")
        if not pooled:
            assert (tmp_path / f"{number}_model.tflite").stat().st_size <= tflite_bytes(spec)
