import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unetpp.formats.functions import functions, signature
from keras_unetpp.formats.saved_model.encoded import of_encoded
from keras_unetpp.graph.build import build
from keras_unetpp.prediction.predictor import segment


def served(model, images, output):
    """What a function of encoded images gives for PNG files, masks decoded."""
    kept = signature(model, output="logits" if output == "logits" else "probabilities")
    (level,) = functions(model, kept).values()
    run = tf.function(
        of_encoded(level, signature(model, output=output)), input_signature=[tf.TensorSpec((None,), tf.string)]
    )
    outputs = run(tf.stack([tf.io.encode_png(image) for image in images]))
    values = {name: value.numpy() for name, value in outputs.items() if name != "mask_bytes"}
    return values, [tf.io.decode_png(text)[..., 0].numpy() for text in outputs.get("mask_bytes", [])]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*sides, 1), dtype=np.uint8) for sides in ((9, 14), (12, 7))]


def model_of(**fields):
    keras.utils.set_random_seed(1)
    return build((None, None, 1), width=4, depth=1, **fields)


@pytest.mark.parametrize("fields", [{"classes": 1}, {"classes": 3}])
@pytest.mark.parametrize("output", ["probabilities", "mask", "logits"])
def test_masks_come_as_png_and_values_only_if_asked_for(fields, output, images):
    model = model_of(**fields)
    values, masks = served(model, images, output)
    assert sorted(values) == (["sides"] if output == "mask" else [output, "sides"])
    assert values["sides"].tolist() == [[9, 14], [12, 7]]
    for mask, image in zip(masks, images, strict=True):
        assert np.array_equal(mask, segment(model, image, output="mask"))


def test_values_are_padded_with_zeros_to_the_largest_image(images):
    model = model_of()
    probabilities = served(model, images, "probabilities")[0]["probabilities"]
    assert probabilities.shape == (2, 12, 14, 1)
    np.testing.assert_allclose(probabilities[0, :9, :14], segment(model, images[0]), atol=1e-6)
    assert not probabilities[0, 9:].any()
    assert not probabilities[1, :, 7:].any()


def test_classes_that_do_not_exclude_each_other_have_no_png(images):
    model = model_of(classes=2, head_activation="sigmoid")
    values, masks = served(model, images, "mask")
    assert masks == []
    assert values["mask"].dtype == np.uint8
    assert np.array_equal(values["mask"][1, :12, :7], segment(model, images[1], output="mask"))
    assert sorted(served(model, images, "probabilities")[0]) == ["probabilities", "sides"]


def test_masks_of_more_classes_than_a_png_of_8_bits_has(images):
    model = model_of(classes=300)
    values, masks = served(model, images, "mask")
    assert masks == []
    assert (values["mask"].dtype, values["mask"].shape) == (np.uint16, (2, 12, 14))
    assert np.array_equal(values["mask"][1, :12, :7], segment(model, images[1], output="mask"))
