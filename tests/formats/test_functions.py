import keras
import numpy as np
import pytest
import tensorflow as tf
from precision import precision

from keras_unetpp.formats.functions import check_labels, functions, reflected, signature
from keras_unetpp.formats.rebuild import network
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.requirements import require
from keras_unetpp.prediction.predictor import segment
from keras_unetpp.pruning import prune


def trained(**fields):
    """A model whose weights and moving averages are all away from their starts."""
    keras.utils.set_random_seed(3)
    model = build(fields.pop("shape", (None, None, 3)), width=4, **fields)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def called(model, image, **options):
    """What the functions of a signature give for one image, by name."""
    wanted = signature(model, **options)
    spec = tf.TensorSpec(wanted.shape, tf.as_dtype(wanted.input))
    run = {name: tf.function(one, input_signature=[spec]) for name, one in functions(model, wanted).items()}
    return {name: one(image[None].astype(wanted.input))[wanted.output].numpy()[0] for name, one in run.items()}


@pytest.fixture(scope="module")
def model():
    return trained(depth=2, normalization="standardize")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).integers(0, 256, (13, 18, 3), dtype=np.uint8)


@pytest.mark.parametrize(("up", "block"), [("transpose", "preact"), ("nearest", "conv"), ("bilinear", "conv")])
def test_functions_give_what_segment_gives(up, block, image):
    model = trained(depth=2, up=up, block=block, normalization="standardize")
    got = called(model, image)
    assert list(got) == ["L1", "L2", "mean"]
    for name, level in zip(got, (1, 2, "mean"), strict=True):
        np.testing.assert_allclose(got[name], segment(model, image, level), atol=1e-5)


@pytest.mark.parametrize("sides", [(1, 1), (2, 5), (16, 3)])
def test_images_smaller_than_the_padding(model, image, sides):
    small = image[: sides[0], : sides[1]]
    np.testing.assert_allclose(called(model, small, levels=2)["L2"], segment(model, small, 2), atol=1e-5)


def test_fixed_sides_need_be_no_multiple_and_not_the_models_own(image):
    model = trained(shape=(16, 16, 3), depth=2)
    got = called(model, image, size=(13, 18), levels=2)["L2"]
    free = trained(shape=(None, None, 3), depth=2)
    np.testing.assert_allclose(got, segment(free, image), atol=1e-5)
    assert signature(model).sides == (16, 16)


def test_padding_reflects_as_numpy_does():
    x = np.arange(2 * 5 * 7, dtype=np.float32).reshape(2, 5, 7, 1)
    expected = np.pad(x, [(0, 0), (5, 6), (4, 5), (0, 0)], mode="reflect")
    for spec in ((None, None, None, 1), (None, 5, 7, 1)):
        padded = tf.function(lambda x: reflected(x, 16)[0], input_signature=[tf.TensorSpec(spec)])(x)
        np.testing.assert_array_equal(padded, expected)
    assert reflected(tf.zeros((1, 32, 16, 1)), 16)[1] == (slice(None),) * 4


def test_masks_and_logits(image):
    for classes in (1, 3):
        model = trained(depth=1, classes=classes)
        assert np.array_equal(called(model, image, output="mask")["L1"], segment(model, image, output="mask"))
        logits = called(model, image, output="logits")["L1"].astype(np.float64)
        powers = np.exp(logits)
        expected = powers / (1 + powers) if classes == 1 else powers / powers.sum(-1, keepdims=True)
        np.testing.assert_allclose(segment(model, image), expected, atol=1e-5)


def test_heads_that_exclude_nothing_and_heads_of_logits(image):
    several = trained(depth=1, classes=2, head_activation="sigmoid")
    mask = called(several, image, output="mask")["L1"]
    assert mask.shape == (13, 18, 2)
    assert np.array_equal(mask, segment(several, image, output="mask"))
    linear = trained(depth=2, classes=3, head_activation="linear")
    assert list(called(linear, image, output="logits")) == ["L1", "L2", "mean"]
    np.testing.assert_allclose(called(linear, image, levels="mean")["mean"], segment(linear, image, "mean"), atol=1e-5)


def test_mixed_precision_becomes_float32(image):
    with precision("mixed_float16"):
        half = trained(depth=1)
    whole = trained(depth=1)
    whole.set_weights(half.get_weights())
    np.testing.assert_allclose(called(half, image)["L1"], segment(whole, image), atol=1e-5)


def test_volumes(image):
    model = trained(shape=(None, None, None, 1), depth=1, up="nearest")
    volume = np.random.default_rng(2).uniform(0, 255, (5, 6, 7, 1)).astype(np.float32)
    np.testing.assert_allclose(called(model, volume)["L1"], segment(model, volume), atol=1e-5)


def test_batch_normalisation_is_folded_where_a_convolution_alone_feeds_it(model):
    def norms(model):
        return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)

    assert norms(model) > 0
    assert norms(network(model, [1, 2])) == 0
    preact = trained(depth=1, block="preact")
    assert 0 < norms(network(preact, [1])) < norms(preact)


def test_a_pruned_model_has_its_one_level(model, image):
    for level, name in ((1, "L1"), ("mean", "mean")):
        small = prune(model, level, copy=True)
        assert signature(small).levels == (level,)
        np.testing.assert_allclose(called(small, image)[name], segment(model, image, level), atol=1e-5)


def test_signatures_by_default_and_by_choice(model):
    assert signature(model).levels == (1, 2, "mean")
    assert signature(model).names == ("L1", "L2", "mean")
    assert signature(model).default == "L2"
    assert signature(model).shape == (None, None, None, 3)
    assert signature(model, levels=["mean", "L1"], size=40).levels == (1, "mean")
    assert signature(model, levels="mean", size=(40, None)).default == "mean"
    assert signature(model, size=(40, None)).sides == (40, None)
    assert signature(model, output="logits").levels == (1, 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"levels": 3}, r"heads for level 1, 2 or 'mean'\. Received: 3\."),
        ({"levels": [1, "L7"]}, r"heads for level 1, 2 or 'mean'\. Received: 7\."),
        ({"levels": []}, r"levels must name at least one level\. Received: none\."),
        ({"levels": "mean", "output": "logits"}, r"'mean' averages the heads' probabilities, so it has no logits\."),
        ({"size": (64,)}, r"size must be a whole number of pixels, or 2, None for any\. Received: \(64,\)\."),
        ({"size": 0}, r"size must be .* Received: 0\."),
        ({"size": 64, "input": "image_bytes"}, r"'image_bytes' takes images of any size\. Received: size=64\."),
        ({"input": "int8"}, r"input must be one of 'float32', 'uint8', 'image_bytes'\. Received: 'int8'\."),
        ({"output": "masks"}, r"output must be one of 'probabilities', 'mask', 'logits'\. Received: 'masks'\."),
    ],
)
def test_what_does_not_fit_is_named(model, options, text):
    with pytest.raises(InputError, match=text):
        signature(model, **options)


def test_a_weight_that_is_not_finite_is_named():
    model = trained(depth=1)
    kernel = model.get_layer("x_0_1_conv2").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(InputError, match=r"Weight x_0_1_conv2/kernel of model 'unetpp' holds NaN or infinite numbers"):
        signature(model)


def test_other_models_and_images_without_a_file_format():
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1)])
    with pytest.raises(InputError, match=r"This is no model of keras_unetpp"):
        signature(other)
    two = trained(shape=(None, None, 2), depth=1)
    with pytest.raises(InputError, match=r"have 1, 3 or 4 channels\. Received: a model of 2 channels and 2 sides\."):
        signature(two, input="image_bytes")


def test_labels_name_the_classes():
    assert check_labels(None, 3) == ()
    assert check_labels(["a", "b", "c"], 3) == ("a", "b", "c")
    assert check_labels(["background", "nucleus"], 1) == ("background", "nucleus")
    for labels in (["a"], "abc", [1, 2, 3]):
        with pytest.raises(InputError, match=r"labels must be 3 texts, one a class\. Received: "):
            check_labels(labels, 3)


def test_a_missing_package_names_the_extra():
    with pytest.raises(InputError, match=r"needs no_such_package\. Install: pip install 'keras-unetpp\[onnx\]'\."):
        require("onnx", "keras", "no_such_package")
