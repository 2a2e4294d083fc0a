"""Backbones of a user's own, and the list of all."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_unetpp as kup
from keras_unetpp.graph.describe import describe
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import backbones as facts


def small():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="first")(image)
    half = layers.BatchNormalization(name="half")(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", name="down")(half)
    x = layers.Add(name="sum")([x, layers.AveragePooling2D(2, name="short")(half)])
    return keras.Model(image, layers.Activation("relu", name="quarter")(x))


@pytest.fixture
def registry(monkeypatch):
    """Names are registered for good; tests leave none behind."""
    before = dict(facts.registered)
    yield
    for name in facts.registered.keys() - before:
        facts.registered.pop(name)


@pytest.mark.usefixtures("registry")
def test_a_function_becomes_an_encoder(tmp_path):
    kup.register_backbone("mine_function", small, ["half", "quarter"], mean=(1, 2, 3), std=(4, 5, 6), licence="MIT")
    model = kup.build((32, 32, 3), backbone="mine_function", depth=2, width=4)
    assert list(describe(model).encoder) == ["first", "half", "down", "short", "sum", "quarter"]
    assert {layer.name for layer in model.layers} >= {"x_1_0_first", "x_1_0_half", "x_2_0_down", "x_2_0_quarter"}
    scaled = keras.Model(model.input, model.get_layer("normalization").output)(np.full((1, 32, 32, 3), 10.0))
    assert np.allclose(scaled[0, 0, 0], [9 / 4, 8 / 5, 7 / 6])
    model.save(tmp_path / "model.keras")
    loaded = kup.load(tmp_path / "model.keras")
    assert loaded.spec == model.spec
    with pytest.raises(InputError, match=r"at most 2\. Received: 3"):
        kup.Spec(backbone="mine_function", depth=3)


@pytest.mark.usefixtures("registry")
def test_a_model_gives_its_weights_when_asked():
    own = small()
    kup.register_backbone("mine_model", own, ["half", "quarter"])
    with_own = kup.build((32, 32, 3), backbone="mine_model", depth=2, width=4, encoder_weights="own")
    without = kup.build((32, 32, 3), backbone="mine_model", depth=2, width=4)
    kernel = np.array(own.get_layer("first").kernel)
    assert np.array_equal(with_own.get_layer("x_1_0_first").kernel, kernel)
    assert not np.array_equal(without.get_layer("x_1_0_first").kernel, kernel)
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    taps = keras.Model(with_own.input, with_own.get_layer("x_2_0_quarter").output)
    assert np.allclose(taps(image), own(image), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"name": "resnet50", "model": small, "taps": ["half"]},
            "There is a backbone 'resnet50' already. Choose another name.",
        ),
        (
            {"name": "mine", "model": small, "taps": ["half", "third"]},
            "Model 'functional' has no layer 'third' to tap. See its summary().",
        ),
        (
            {"name": "mine", "model": small},
            "A backbone needs taps and an input of shape (None, None, None, 3). Received: taps [] and input"
            " (None, None, None, 3).",
        ),
        (
            {"name": "mine", "model": lambda: keras.Sequential([keras.Input((32, 32, 1)), layers.Flatten()])}
            | {"taps": ["half"]},
            "A backbone needs taps and an input of shape (None, None, None, 3). Received: taps ['half'] and input"
            " (None, 32, 32, 1).",
        ),
        (
            {"name": "mine", "model": small, "taps": ["half"], "std": (1, 1, 0)},
            "mean and std need three numbers, std none of 0. Received: (0.0, 0.0, 0.0) and (1, 1, 0).",
        ),
    ],
)
def test_what_cannot_be_registered(arguments, text):
    keras.utils.clear_session()
    with pytest.raises(InputError) as caught:
        kup.register_backbone(**arguments)
    assert str(caught.value) == text
    assert "mine" not in facts.names()


def test_pyramid_of_kerashub():
    hub = pytest.importorskip("keras_hub", reason="keras-hub is not installed (extra: hub)")
    backbone = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    row = kup.register_backbone("hub_tiny", backbone)
    assert [(tap.reduction, tap.channels) for tap in row.taps] == [(4, 64), (8, 128)]
    model = kup.build((32, 32, 3), backbone="hub_tiny", depth=3, width=4, encoder_weights="own")
    assert list(model(np.zeros((1, 32, 32, 3), "float32"))) == ["L1", "L2", "L3"]


def test_list():
    rows = kup.backbones()
    assert len(rows) >= 61
    lines = str(rows).splitlines()
    assert lines[0].split()[:3] == ["backbone", "taps", "at"]
    (lite,) = [line.split() for line in lines if line.startswith("efficientnet_lite0 ")]
    assert lite[1:7] == ["2..32", "16,", "24,", "40,", "112,", "320"]
    assert float(lite[8]) > float(lite[10])
