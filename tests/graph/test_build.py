"""The built graph, read back from Keras: which nodes, what each reads in which order, how wide, and no dead weights."""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from sampling import sampled

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import PRESETS, Spec, cost

TOPOLOGIES = ("unet", "unet_e", "unet+", "unet++")
EVERY = [(topology, depth) for topology in TOPOLOGIES for depth in (1, 2, 3, 4, 5)]
FILTERS = (3, 4, 5, 6, 7, 8)


@cache
def small(topology, depth):
    return build((32, 32, 2), topology=topology, filters=FILTERS[: depth + 1], depth=depth, norm="none",
                 activation="leaky_relu", head_activation="linear")  # fmt: skip


def node_of(layer):
    """(row, column) from a layer's name, or None outside the nodes."""
    first, *rest = layer.name.split("_")
    return (int(rest[0]), int(rest[1])) if first == "x" else None


def nodes_of(model):
    return {node for layer in model.layers if (node := node_of(layer))}


def expected_nodes(topology, depth):
    triangle = {(i, j) for i in range(depth + 1) for j in range(depth + 1 - i)}
    return {(i, j) for i, j in triangle if j == 0 or i + j == depth} if topology == "unet" else triangle


def source(tensor):
    """The layer that makes a tensor."""
    return tensor._keras_history.operation


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_nodes(topology, depth):
    found = nodes_of(small(topology, depth))
    assert found == expected_nodes(topology, depth)
    assert len(found) == (2 * depth + 1 if topology == "unet" else (depth + 1) * (depth + 2) // 2)


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_what_each_node_reads(topology, depth):
    model = small(topology, depth)
    for i, j in expected_nodes(topology, depth) - {(0, 0)}:
        if j == 0:
            pooled = model.get_layer(f"x_{i}_0_pool")
            assert source(pooled.input).name == f"x_{i - 1}_0_act2"
            assert source(model.get_layer(f"x_{i}_0_conv1").input) is pooled
            continue
        joined = model.get_layer(f"x_{i}_{j}_concat")
        skips = {"unet": [0], "unet_e": [0], "unet+": [j - 1], "unet++": list(range(j))}[topology]
        below, *own_row = map(source, joined.input)
        assert below.name == f"x_{i}_{j}_up"
        assert source(below.input).name == f"x_{i + 1}_{j - 1}_act2"
        assert [layer.name for layer in own_row] == [f"x_{i}_{skip}_act2" for skip in skips]
        assert len(joined.input) == (j + 1 if topology == "unet++" else 2)
        assert source(model.get_layer(f"x_{i}_{j}_conv1").input) is joined


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_width_and_resolution_of_each_node(topology, depth):
    model = small(topology, depth)
    for i, j in expected_nodes(topology, depth):
        for part in ("conv1", "conv2", "act2", *(["up"] if j else [])):
            shape = model.get_layer(f"x_{i}_{j}_{part}").output.shape
            assert shape == (None, 32 // 2**i, 32 // 2**i, FILTERS[i])


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_heads(topology, depth):
    model = small(topology, depth)
    levels = [depth] if topology == "unet" else list(range(1, depth + 1))
    assert list(describe(model).outputs) == [f"L{level}" for level in levels]
    for level in levels:
        head = model.get_layer(f"L{level}_conv")
        assert source(head.input).name == f"x_0_{level}_act2"
        assert source(describe(model).outputs[f"L{level}"]).input is head.output


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_a_level_keeps_exactly_its_nodes(topology, depth):
    model = small(topology, depth)
    for level in [depth] if topology == "unet" else range(1, depth + 1):
        kept = select(model, level)
        own = expected_nodes(topology if topology in ("unet+", "unet++") else "unet", level)
        assert nodes_of(kept) == own
        assert [layer.name for layer in kept.layers if layer.name.startswith("L")] == [f"L{level}_conv", f"L{level}"]


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_gradient_reaches_every_weight(topology, depth):
    model = small(topology, depth)
    rng = np.random.default_rng(depth)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    image = tf.constant(rng.uniform(0, 255, (1, 32, 32, 2)), tf.float32)
    with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_mean(output) for output in model(image).values()])
    gradients = tape.gradient(total, [weight.value for weight in model.trainable_weights])
    dead = [w.path for w, g in zip(model.trainable_weights, gradients, strict=True) if g is None or not np.any(g)]
    assert dead == []


def test_layers_are_stock_keras():
    assert {type(layer).__module__.split(".")[0] for layer in small("unet++", 2).layers} == {"keras"}


def test_names_do_not_depend_on_what_was_built_before():
    build((8, 8, 1), depth=1, width=2)
    assert [layer.name for layer in build((8, 8, 1), depth=1, width=2, norm="none").layers] == [
        *("image", "normalization", "x_0_0_conv1", "x_0_0_act1", "x_0_0_conv2", "x_0_0_act2", "x_1_0_pool"),
        *("x_1_0_conv1", "x_1_0_act1", "x_1_0_conv2", "x_1_0_act2", "x_0_1_up", "x_0_1_concat", "x_0_1_conv1"),
        *("x_0_1_act1", "x_0_1_conv2", "x_0_1_act2", "L1_conv", "L1"),
    ]


@pytest.mark.parametrize(
    ("fields", "name", "settings"),
    [
        ({}, "x_0_1_conv1", {"kernel_size": (3, 3), "strides": (1, 1), "padding": "same", "use_bias": True}),
        ({"up_kernel": 4}, "x_0_1_up", {"kernel_size": (4, 4), "strides": (2, 2), "padding": "same", "use_bias": True}),
        ({"up": "nearest"}, "x_0_1_up", {"size": (2, 2), "interpolation": "nearest"}),
        ({"up": "bilinear"}, "x_0_1_up", {"size": (2, 2), "interpolation": "bilinear"}),
        ({}, "x_1_0_pool", {"pool_size": (2, 2), "strides": (2, 2)}),
        ({"norm_momentum": 0.7, "norm_epsilon": 0.25}, "x_0_1_norm1", {"momentum": 0.7, "epsilon": 0.25}),
        ({"norm": "group", "norm_groups": 2, "norm_epsilon": 0.25}, "x_1_0_norm2", {"groups": 2, "epsilon": 0.25}),
        ({"norm": "instance"}, "x_1_0_norm2", {"groups": 4, "epsilon": 1e-5}),
        ({"norm": "layer", "norm_epsilon": 0.25}, "x_0_1_norm1", {"axis": [-1], "epsilon": 0.25}),
        ({"dropout": 0.3}, "x_0_0_dropout", {"rate": 0.3}),
        ({"activation": "silu"}, "x_0_0_act1", {"activation": keras.activations.silu}),
        ({"head_kernel": 3}, "L1_conv", {"kernel_size": (3, 3), "filters": 1}),
        ({"input_shape": (8, 8, 8, 1)}, "x_0_1_up", {"kernel_size": (2, 2, 2), "strides": (2, 2, 2)}),
        ({"input_shape": (8, 8, 8, 1), "up": "nearest"}, "x_0_1_up", {"size": (2, 2, 2)}),
    ],
    ids=lambda value: str(value).split(" at 0x")[0],
)
def test_settings_of_layers(fields, name, settings):
    layer = build(**{"input_shape": (8, 8, 1), "depth": 1, "filters": (2, 4), **fields}).get_layer(name)
    found = {key: getattr(layer, key) for key in settings}
    assert {key: list(value) if key == "axis" else value for key, value in found.items()} == settings


ACTIVATE = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "linear": lambda x: x,
}


@pytest.mark.parametrize(
    ("classes", "head_activation", "expected"),
    [(1, "auto", "sigmoid"), (3, "auto", "softmax"), (3, "sigmoid", "sigmoid"), (3, "linear", "linear")],
)
def test_head_activation(classes, head_activation, expected):
    model = build((8, 8, 1), classes=classes, head_activation=head_activation, depth=1, width=2)
    image = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")
    logits = keras.Model(model.inputs[0], model.get_layer("L1_conv").output)(image).numpy()
    assert logits.shape == (2, 8, 8, classes)
    np.testing.assert_allclose(model(image)["L1"], ACTIVATE[expected](logits), atol=1e-6)


def test_rescale():
    model = build((8, 8, 1), depth=1, width=2)
    scaled = keras.Model(model.inputs[0], model.get_layer("normalization").output)
    np.testing.assert_allclose(scaled(np.full((1, 8, 8, 1), 255.0))[0, 0, 0], [1.0])


@pytest.mark.parametrize("epsilon", [1e-5, 0.1, 20.0])
def test_standardize(epsilon):
    model = build((None, None, 2), normalization="standardize", standardize_epsilon=epsilon, depth=1, width=2)
    rng = np.random.default_rng(0)
    images = np.concatenate(
        [rng.normal(9, 3, (1, 8, 8, 2)), rng.normal(200, 20, (1, 8, 8, 2)), np.full((1, 8, 8, 2), 7)]
    )
    found = keras.Model(model.inputs[0], model.get_layer("normalization").output)(images.astype("float32")).numpy()
    variance = images.var((1, 2, 3))
    np.testing.assert_allclose(found.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.var((1, 2, 3)), variance / (variance + epsilon), rtol=1e-4)
    assert np.all(found[2] == 0)


@pytest.mark.parametrize("sides", [(1, 1), (33, 18), (255, 257), (600, 513)])
def test_a_blank_image_stays_blank(sides):
    model = build((None, None, 3), normalization="standardize", depth=1, width=2)
    standardized = keras.Model(model.inputs[0], model.get_layer("normalization").output)
    for values, most in (((0, 1, 7, 128, 253, 255), 0.01), ((0.1, 99.9, 253.3), 0.2)):  # of one deviation
        for value in values:
            found = keras.ops.convert_to_numpy(standardized(np.full((1, *sides, 3), value, "float32")))
            assert np.abs(found).max() < most, value


def test_integer_pixels():
    model = build((8, 8, 3), depth=1, width=2)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3))
    np.testing.assert_array_equal(model(pixels.astype("uint8"))["L1"], model(pixels.astype("float32"))["L1"])


def test_without_deep_supervision_the_output_is_a_plain_tensor():
    model = build((8, 8, 3), depth=2, width=2, deep_supervision=False)
    assert model(np.zeros((1, 8, 8, 3))).shape == (1, 8, 8, 1)
    assert model.output_names == ["L2"]


@pytest.mark.parametrize(
    ("arguments", "fields", "expected"),
    [
        ((Spec((8, 8, 3), depth=1, width=2),), {}, Spec((8, 8, 3), depth=1, width=2)),
        ((Spec((8, 8, 3), depth=1, width=2),), {"classes": 4}, Spec((8, 8, 3), depth=1, width=2, classes=4)),
        (((8, 8, 3),), {"depth": 1, "width": 2}, Spec((8, 8, 3), depth=1, width=2)),
        (([8, 8, 3],), {"depth": 1, "width": 2}, Spec((8, 8, 3), depth=1, width=2)),
        ((), {"input_shape": (8, 8, 3), "depth": 1, "width": 2}, Spec((8, 8, 3), depth=1, width=2)),
        ((), {"preset": "unet", "depth": 1, "width": 2}, Spec.preset("unet", depth=1, width=2)),
        (
            ((None, None, 1),),
            {"preset": "reference", "depth": 1, "filters": (2, 3)},
            Spec.preset("reference", input_shape=(None, None, 1), depth=1, filters=(2, 3)),
        ),
    ],
)
def test_what_build_takes(arguments, fields, expected):
    assert build(*arguments, **fields).spec == expected


OF_PAPERS = ["unet", "wide_unet", "unet_e", "unet+", "unet++", "reference"]


@pytest.mark.parametrize("preset", OF_PAPERS)
def test_presets_build(preset):
    assert build(preset=preset, depth=2, width=2, input_shape=(8, 8, 1)).name == preset.replace("+", "p").replace(
        "wide_unet", "unet"
    ).replace("reference", "unetpp")


@pytest.mark.parametrize("preset", sampled([one for one in PRESETS if one not in OF_PAPERS], ["tiramisu56", "vnet++"]))
def test_all_presets_build(preset):
    """With two rows, since all of some are too many layers for a test."""
    spec = Spec.preset(preset, depth=2, width=32)
    spec = spec.replace(input_shape=(*(16,) * spec.rank, spec.channels))
    model = build(spec)
    assert model.spec == spec
    assert model.count_params() == cost(spec).params
    outputs = keras.tree.flatten(model(np.ones((1, *spec.input_shape))))
    assert all(np.isfinite(one).all() and one.shape[1:-1] == spec.sides for one in outputs)


@pytest.mark.parametrize(
    ("arguments", "fields", "text"),
    [
        ((), {}, "build() needs a Spec, an input_shape such as (256, 256, 3), or a preset. Received: none."),
        ((Spec(),), {"preset": "unet"}, "Give build() a Spec or a preset, not both. Received: preset='unet'."),
        (
            ((8, 8, 3),),
            {"input_shape": (16, 16, 3)},
            "input_shape was given twice. Received: (8, 8, 3) and (16, 16, 3).",
        ),
        (
            ((30, 40, 3),),
            {},
            "Every side must be a multiple of 16, the reduction of the lowest row."
            " Received: (30, 40). Pad to (32, 48), use a smaller depth,"
            " or call segment(), which pads and crops by itself.",
        ),
        (("unet",), {}, "Spec.input_shape must be a tuple or list. Received: 'unet'."),
        ((), {"preset": "unet2"}, "Unknown preset 'unet2'. Did you mean 'unet'? Presets: "),
        (((16, 16, 3),), {"with": 8}, "Spec has no field 'with'. Did you mean 'width'? Fields: "),
    ],
)
def test_errors(arguments, fields, text):
    with pytest.raises(InputError) as caught:
        build(*arguments, **fields)
    assert str(caught.value).startswith(text)
