"""Rows of the tables of how a network is put together: each learns, is cut out, saved and exported."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unetpp.exporting import export
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.pruning import prune
from keras_unetpp.spec import ACTIVATIONS, ATTENTIONS, BLOCKS, CONTEXTS, DOWNS, MERGES, UPS, Spec, plan
from keras_unetpp.tuning.tflite_bytes import tflite_bytes

TABLES = {"block": BLOCKS, "down": DOWNS, "up": UPS, "merge": MERGES, "attention": ATTENTIONS, "context": CONTEXTS}
USUAL = {("block", "conv"), ("down", "max"), ("up", "transpose"), ("up", "nearest"), ("up", "bilinear"),
         ("merge", "concat"), ("attention", "none"), ("context", "none")}  # fmt: skip
"""What the networks of all other tests have."""

ROWS = [(name, key) for name, table in TABLES.items() for key in table if (name, key) not in USUAL]
LEAKY = {"activation": "leaky_relu", "activation_slope": 0.01}
TOGETHER = {
    "residual, dense": {"block": "residual", "decoder_block": "dense", "down": "average", "merge": "gate",
                        "activation": "prelu", "norm": "batch", "bias": False, "attention": "se",
                        "context": "pyramid_pooling"},
    "separable, inverted": {"block": "separable", "decoder_block": "inverted", "down": "strided", "merge": "add",
                            "norm": "none", "attention": "scse", "context": "atrous_pyramid", **LEAKY},
    "grouped": {"block": "grouped", "down": "l2", "up": "pixel_shuffle", "merge": "none", "topology": "unet_e",
                "attention": "scse", "context": "pyramid_pooling", **LEAKY},
    "unpool": {"up": "unpool", "merge": "add", "block_layers": (1,)},
    "residual, preact": {"block": "residual", "decoder_block": "preact", "down": "max", "merge": "concat",
                         "block_layers": (3, 2, 1), "norm": "none", **LEAKY},
    "conv, pass": {"decoder_block": "pass", "up": "bottleneck", "up_kernel": 3, "merge": "residual_path",
                   "decoder_filters": (8, 4), "filters": (4, 8, 12)},
    "direct": {"topology": "direct", "up": "narrowed", "norm": "batch"},
    "fcn": {"topology": "fcn", "up_kernel": 4, "merge": "add", "depth": 3, "filters": (4, 6, 8, 8)},
}  # fmt: skip
"""Networks that between them have all rows."""


NEEDS = {"none": {"topology": "unet_e"}}
"""Rows that cannot be in the usual networks, and the fields with which they can."""


def spec_of(shape=(16, 16, 3), **fields):
    return Spec(
        shape, **{"depth": 2, "filters": (4, 6, 8), "growth_rate": 4, "cardinality": 2, "squeeze_ratio": 1, **fields}
    )


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
    wide = getattr(TABLES.get(name, {}).get(key), "multiple", 1)
    widths = {"filters": (4 * wide, 8 * wide, 8 * wide)} if wide > 1 else {}
    model = build(spec_of(**{name: key}, **widths, **NEEDS.get(key, {})))
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
        assert found >= {key for key in table if (name, key) not in USUAL}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("rank", [2, 3])
def test_attention_is_that_of_the_papers(rank):
    """U * s(W2 relu(W1 mean(U))), by channel; U * s(w U), by pixel; and the sum of both."""
    keras.utils.set_random_seed(0)
    model = build(spec_of((*(8,) * rank, 3), depth=1, filters=(8, 8), attention="scse"))
    names = ("act2", "se", "sse", "scse")
    given, *found = keras.Model(model.inputs[0], [model.get_layer(f"x_0_0_{name}").output for name in names])(
        np.random.default_rng(0).uniform(0, 255, (2, *(8,) * rank, 3)).astype("float32")
    )
    u = np.asarray(given, np.float64)
    reduce, expand, pixel = (
        model.get_layer(f"x_0_0_{name}").get_weights() for name in ("se_reduce", "se_expand", "sse_conv")
    )
    assert [len(one) for one in (reduce, expand, pixel)] == [1, 1, 1]  # no biases
    means = u.mean(tuple(range(1, rank + 1)), keepdims=True)
    by_channel = u * sigmoid(np.maximum(means @ reduce[0], 0) @ expand[0])
    by_pixel = u * sigmoid(u @ pixel[0])
    for one, wanted in zip(found, (by_channel, by_pixel, by_channel + by_pixel), strict=True):
        assert np.abs(one - wanted).max() < 1e-5


@pytest.mark.parametrize("key", BLOCKS)
def test_each_block_has_attention_once_and_before_the_sum_that_ends_it(key):
    for rank in BLOCKS[key].ranks:
        rows = plan(spec_of((*(16,) * rank, 3), depth=1, filters=(8, 8), block=key, attention="se"))
        for part in ("x_0_0", "x_1_0", "x_0_1"):
            own = [row for row in rows if row.part == part]
            (gate,) = (row for row in own if row.name.startswith(f"{part}_se") and row.kind == "multiply")
            readers = [row.kind for row in rows if gate.name in row.reads and row.part == part]
            adds = any(row.kind == "add" for row in own)
            assert readers == (["add"] if adds else [])
            assert adds or own[-1] == gate


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
    if rank == 2 and UPS[fields.get("up", "transpose")].down is None:
        depth = fields.get("depth", 2)
        specs.append(spec_of(**{**fields, "filters": (4, 8, 8)[:depth]}, backbone=small_backbone))
    for number, spec in enumerate(specs):
        model = build(spec)
        for path in ("model.onnx", "saved"):
            export(model, tmp_path / f"{number}_{path}")
        if rank == 3 and spec.context == "atrous_pyramid":  # TFLite dilates convolutions of images alone
            with pytest.raises(InputError, match=r"^TFLite's built-in operations cannot compute .*x_2_0_context6_conv"):
                export(model, tmp_path / f"{number}_model.tflite")
            continue
        export(model, tmp_path / f"{number}_model.tflite")
        assert (tmp_path / f"{number}_model.tflite").stat().st_size <= tflite_bytes(spec)
