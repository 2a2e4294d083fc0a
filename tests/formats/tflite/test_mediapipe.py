"""Run in an environment of its own by `make mediapipe`."""

import keras
import numpy as np
import pytest

import keras_unetpp as kup

mediapipe = pytest.importorskip("mediapipe", reason="mediapipe is not installed: make mediapipe")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return kup.build((None, None, 3), width=4, depth=2, norm="none")


def confidence(path, image):
    """The mask that MediaPipe's own segmenter gives for an image of any size, and the labels that it read."""
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageSegmenterOptions(BaseOptions(model_asset_path=str(path)), output_confidence_masks=True)
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        (mask,) = segmenter.segment(picture).confidence_masks
        return mask.numpy_view().reshape(image.shape[:2]).copy(), segmenter.labels


def resized(pixels, sides, centred):
    """Bilinear: a pixel's corners are matched, or its centre if `centred`."""
    for axis, side in enumerate(sides):
        own = pixels.shape[axis]
        at = (np.arange(side) + 0.5) * own / side - 0.5 if centred else np.arange(side) * own / side
        at = np.clip(at, 0, own - 1)
        low = np.floor(at).astype(int)
        part = (at - low).reshape([-1 if other == axis else 1 for other in range(pixels.ndim)])
        high = np.minimum(low + 1, own - 1)
        pixels = pixels.take(low, axis) * (1 - part) + pixels.take(high, axis) * part
    return pixels


@pytest.mark.parametrize("output", ["probabilities", "logits"])
def test_the_file_opens_as_it_is(output, model, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    kup.export(model, tmp_path / "m.tflite", size=32, levels=2, output=output, labels=["nucleus"])
    mask, labels = confidence(tmp_path / "m.tflite", image)
    assert labels == ["nucleus"]
    np.testing.assert_allclose(mask, kup.segment(tmp_path / "m.tflite", image)[..., 0], atol=1e-4)


@pytest.mark.parametrize("sides", [(70, 100), (20, 24)])
def test_the_mask_of_another_size_is_ours_after_its_resizing(sides, model, tmp_path):
    # MediaPipe matches corners on the way in and centres on the way out, in steps of a fraction of a grey level.
    image = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    image = image[: sides[0], : sides[1]]
    kup.export(model, tmp_path / "m.tflite", size=32, levels=2)
    fed = resized(image.astype(np.float32), (32, 32), centred=False)
    ours = resized(kup.segment(tmp_path / "m.tflite", fed), sides, centred=True)[..., 0]
    mask, _ = confidence(tmp_path / "m.tflite", image)
    assert mask.std() > 0.01
    np.testing.assert_allclose(mask, ours, atol=2e-3)
