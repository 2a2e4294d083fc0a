"""Whole images scored, their masks in any layout."""

import warnings

import keras
import numpy as np
import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import select
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.pruning import levels
from keras_unetpp.training.evaluate import evaluate, mean, overlap
from keras_unetpp.training.metrics import IoU

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
MASKS = (RNG.random((3, 8, 8)) > 0.5).astype(np.uint8)


def network(classes=1, **fields):
    keras.utils.set_random_seed(1)
    return build((None, None, 1), classes=classes, width=2, depth=1, norm="none", **fields)


@pytest.fixture(scope="module")
def models():
    return {classes: network(classes) for classes in (1, 2)}


def score(model, masks, **options):
    return mean(evaluate(model, (IMAGES, masks), **options)).iou


def test_layouts_score_alike(models):
    one_hot = (MASKS[..., None] == np.arange(2)).astype(np.uint8)
    own = score(models[2], MASKS)
    for masks in (MASKS[..., None], MASKS > 0, MASKS.astype("float32"), one_hot, one_hot > 0, list(one_hot)):
        assert score(models[2], masks) == own
    for masks in (MASKS * 255, MASKS[..., None] > 0, MASKS.astype(np.uint16) * np.arange(300, 308, dtype=np.uint16)):
        assert score(models[1], masks) == score(models[1], MASKS)


def test_overlapping_classes_have_a_mask_each():
    model = network(2, head_activation="sigmoid")
    channels = np.stack([MASKS, MASKS], -1)
    assert score(model, channels) == score(model, MASKS)  # channel 1 is class 1, class 0 does not count


def test_images_of_different_sizes(models):
    images, masks = [IMAGES[0], IMAGES[1][:6]], [MASKS[0], MASKS[1][:6, :, None]]
    found = evaluate(models[1], (images, masks))
    assert [one.name for one in found] == ["0", "1"]
    with pytest.raises(InputError, match=r"^A mask must have the size of its image. Received: \(8, 8\) for an"):
        evaluate(models[1], (images, list(MASKS[:2])))


def test_pixels_to_leave_out(models):
    marked = MASKS.astype(int)
    marked[:, :4] = -1
    for model in models.values():
        halves = mean(evaluate(model, (IMAGES, MASKS))).iou, score(model, marked, ignore_index=-1)
        assert halves[0] != halves[1]
    with pytest.raises(InputError, match=r"Received: -1, 0, 1 \(int64\). Pass ignore_index=-1"):
        score(models[1], marked)


@pytest.mark.parametrize(
    ("classes", "masks", "text"),
    [
        (2, MASKS * 255, "Mask 0 must hold class ids 0..1 for 2 classes. Received: 0, 255 (uint8)."),
        (2, MASKS + 1, "Mask 0 must hold class ids 0..1 for 2 classes. Received: 1, 2 (uint8). Ids count from 0"),
        (1, MASKS * 2.0 - 1, "Mask 0 must hold ids of foreground, 0 and above, for one class."),
        (1, MASKS * 0.5, "Mask 0 must hold ids of foreground"),
        (1, MASKS[:2], "Data must be (images, masks), as many masks as images. Received: 3 and 2."),
    ],
)
def test_masks_that_mean_nothing(models, classes, masks, text):
    for call in (score, lambda model, masks: levels(model, (IMAGES, masks), repeat=0)):
        with pytest.raises(InputError) as caught:
            call(models[classes], masks)
        assert str(caught.value).startswith(text)


def test_masks_without_background_are_told(models):
    with pytest.warns(InputWarning, match=r"^All pixels of all 3 masks are foreground"):
        score(models[1], MASKS + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        score(models[1], MASKS)


def test_a_class_that_does_not_occur_is_left_out():
    target, background = np.zeros((4, 4), np.int32), np.zeros((4, 4), np.uint8)
    target[:2] = 7
    assert overlap(target, background, 21) == (0.0, 0.0)
    assert overlap(target, target.astype(np.uint8), 21) == (1.0, 1.0)
    assert overlap(background, background, 21) == overlap(background, background, 1) == (1.0, 1.0)
    partly = np.where(np.arange(4)[:, None] < 1, 7, np.where(np.arange(4)[:, None] < 2, 3, 0)) + target * 0
    iou, dice = overlap(target, partly, 21)  # class 7: one row of two; class 3: found where none is
    assert (iou, dice) == pytest.approx(((1 / 2 + 0) / 2, (2 / 3 + 0) / 2))


def test_weights_that_are_not_finite_give_no_score():
    model = network()
    model.weights[-1].assign(model.weights[-1] * np.nan)
    with pytest.raises(InputError, match=r"^Probabilities must be finite\. Received: NaN or infinity of L1\."):
        score(model, MASKS * 0)


def test_images_without_a_pixel_that_counts_have_no_score(models):
    marked = MASKS.astype(int)
    marked[1] = 255
    for model in models.values():
        with pytest.warns(InputWarning, match=r"^Not scored: 1 of 3 images, all of whose pixels are ignore_index=255"):
            found = evaluate(model, (IMAGES, marked), ignore_index=255)
        assert [one.name for one in found] == ["0", "2"]
        assert found == [one for one in evaluate(model, (IMAGES, MASKS)) if one.name != "1"]
        with pytest.raises(InputError, match=r"^Data to score must hold pixels that count\. Received: 3 images, all"):
            evaluate(model, (IMAGES, np.full_like(marked, 255)), ignore_index=255)
    with pytest.raises(InputError, match="at least one image"):
        evaluate(models[1], [])


def test_the_metric_and_the_score_of_whole_images_leave_out_the_same(models):
    marked = MASKS.astype(int)
    marked[1], marked[2, 3:] = 255, 255
    y = marked[..., None]
    metric = IoU(ignore_index=255)
    metric.update_state(y, models[1].predict(IMAGES.astype("float32"), verbose=0)["L1"])
    with pytest.warns(InputWarning, match="Not scored"):
        assert score(models[1], marked, ignore_index=255) == pytest.approx(float(metric.result()), abs=1e-6)


@pytest.mark.parametrize("value", [0, 1])
def test_what_is_left_out_is_neither_background_nor_foreground(models, value):
    with pytest.raises(InputError, match=rf"^ignore_index must differ from 0 and 1, .* Received: {value}\."):
        score(models[1], MASKS * 7, ignore_index=value)
    assert 0 <= score(models[2], MASKS, ignore_index=0) <= 1  # ids of classes


def test_levels_tells_once_what_is_odd_about_its_data():
    model = build((None, None, 1), classes=1, width=2, depth=2, norm="instance", deep_supervision=True)
    marked = MASKS.astype(int)
    marked[1] = 255
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        rows = levels(model, (IMAGES, marked), repeat=0, ignore_index=255)
        levels(model, iter([*zip(IMAGES, marked, strict=True)]), repeat=0, ignore_index=255)
    told = [str(one.message)[:10] for one in caught if one.category is InputWarning]
    assert told == ["Not scored"] * 2
    own = [one for head in (1, 2, "mean") for one in [mean(evaluate(select(model, head), (IMAGES, MASKS)))]]
    assert [row.name for row in rows] == ["L1", "L2", "mean"]
    assert own[2].images == 3
