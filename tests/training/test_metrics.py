"""IoU and Dice against hand-worked values and against their NumPy counterparts."""

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unetpp.kit.errors import InputError
from keras_unetpp.training import losses, metrics

# Two images of four pixels. The first has TP 1, FP 1, FN 1: IoU 1/3, Dice 1/2. The second TP 2, FP 0, FN 0: both 1.
# Pooled: TP 3, FP 1, FN 1: IoU 3/5, Dice 6/8.
HAND_Y = np.array([[[1, 1], [0, 0]], [[1, 1], [0, 0]]])
HAND_P = np.array([[[0.9, 0.1], [0.6, 0.5]], [[0.8, 0.7], [0.2, 0.0]]], "float32")[..., None]


def score(metric, *arguments, **keywords):
    metric.update_state(*arguments, **keywords)
    return float(metric.result())


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (metrics.IoU(), 2 / 3),
        (metrics.Dice(), 3 / 4),
        (metrics.IoU(per_image=False), 3 / 5),
        (metrics.Dice(per_image=False), 6 / 8),
        (metrics.IoU(threshold=0.85), (1 / 2 + 0) / 2),
    ],
)
def test_hand_worked_values_per_image_and_pooled(metric, value):
    assert score(metric, HAND_Y, HAND_P) == pytest.approx(value)
    metric.reset_state()
    for y, p in zip(HAND_Y, HAND_P, strict=True):  # the same images in batches of one
        metric.update_state(y[None], p[None])
    assert float(metric.result()) == pytest.approx(value)


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("make", [metrics.IoU, metrics.Dice])
@pytest.mark.parametrize(("y", "p", "value"), [(0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 1)])
def test_empty_masks(make, per_image, y, p, value):
    mask, prediction = np.full((1, 2, 2), y), np.full((1, 2, 2, 1), p, "float32")
    assert score(make(per_image=per_image), mask, prediction) == value
    assert getattr(metrics, make.__name__.lower())(mask[0], prediction[0, ..., 0]) == value


def mean_of_those_shown(row, kind):
    """Mean over the classes that occur, 1 where none does."""
    shown = [getattr(pixels, kind)() for pixels in row if sum(pixels)]
    return np.mean(shown) if shown else 1.0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.integers(1, 3),
    sides=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    classes=st.integers(1, 4),
    multi_label=st.booleans(),
    make=st.sampled_from([metrics.IoU, metrics.Dice]),
)
def test_against_numpy_counts(seed, batch, sides, classes, multi_label, make):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(batch, *sides, classes)).astype("float32")
    ids = rng.integers(0, max(classes, 2), (batch, *sides))
    ids[rng.random(ids.shape) < 0.2] = 9
    ids[:, 0, 0] = 1  # no image is left out as a whole
    binary = multi_label or classes == 1
    said = logits > 0 if binary else logits.argmax(-1)[..., None] == np.arange(classes)
    chosen = range(1, classes) if classes > 2 else range(classes)
    found, kind = [], make.__name__.lower()
    for image, decided in zip(ids, said, strict=True):
        keep = image != 9
        found.append(
            [metrics.counts((image == (k if classes > 1 else 1))[keep], decided[..., k][keep]) for k in chosen]
        )
    per_image = np.mean([mean_of_those_shown(row, kind) for row in found])
    pooled = mean_of_those_shown([metrics.Counts(*np.sum(column, 0)) for column in zip(*found, strict=True)], kind)
    shared = {"class_ids": chosen, "ignore_index": 9, "from_logits": True, "multi_label": multi_label}
    assert score(make(**shared), ids, logits) == pytest.approx(per_image, abs=1e-6)
    assert score(make(per_image=False, **shared), ids, logits) == pytest.approx(pooled, abs=1e-6)


def test_numpy_counts_hand_worked():
    mask = np.array([[1, 1, 0], [0, 255, 255]])
    prediction = np.array([[True, False, True], [False, True, False]])
    assert metrics.counts(mask, prediction, ignore_index=255) == (1, 1, 1)
    assert metrics.counts(mask, prediction) == (2, 1, 2)
    assert metrics.iou(mask, prediction, 255) == pytest.approx(1 / 3)
    assert metrics.dice(mask, prediction.astype("float32") * 0.6, 255) == pytest.approx(1 / 2)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32"])
def test_any_dtype_of_y_with_or_without_the_channel_axis_and_half_precision(dtype):
    p = HAND_P.astype("float16")
    assert score(metrics.IoU(), HAND_Y.astype(dtype), p) == pytest.approx(2 / 3)
    assert score(metrics.IoU(), HAND_Y.astype(dtype)[..., None], p) == pytest.approx(2 / 3)


def test_class_ids_and_one_hot_agree():
    rng = np.random.default_rng(0)
    ids, p = rng.integers(0, 3, (2, 4, 4)), rng.random((2, 4, 4, 3)).astype("float32")
    one_hot = (ids[..., None] == np.arange(3)).astype("uint8")
    assert score(metrics.Dice(), ids, p) == score(metrics.Dice(), one_hot, p)


def test_half_precision_predictions_are_counted_in_float32():
    ones = np.ones((1, 300, 300))
    assert score(metrics.IoU(per_image=False), ones, ones[..., None].astype("float16")) == 1


def test_sample_weight_weighs_images():
    weight = np.array([1.0, 3.0])
    assert score(metrics.IoU(), HAND_Y, HAND_P, sample_weight=weight) == pytest.approx((1 / 3 + 3) / 4)
    assert score(metrics.IoU(), HAND_Y, HAND_P, sample_weight=weight[:, None]) == pytest.approx((1 / 3 + 3) / 4)
    pooled = metrics.IoU(per_image=False)
    assert score(pooled, HAND_Y, HAND_P, sample_weight=weight) == pytest.approx((1 + 6) / (3 + 6))


def test_sample_weight_weighs_pixels_where_they_are_counted():
    weight = np.array([[[2.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    # The first image: TP 2, FP 1, FN 1 of weight 4 over three pixels; the second: all right, weight 1.
    wanted = (2 / 4 * 4 / 3 + 1) / (4 / 3 + 1)
    assert score(metrics.IoU(), HAND_Y, HAND_P, sample_weight=weight) == pytest.approx(wanted)
    assert score(metrics.IoU(), HAND_Y, HAND_P, sample_weight=weight[..., None]) == pytest.approx(wanted)
    pooled = metrics.IoU(per_image=False)
    assert score(pooled, HAND_Y, HAND_P, sample_weight=weight) == pytest.approx((2 + 2) / (2 + 2 + 1 + 1))
    marked = np.where(weight > 0, HAND_Y, 255)
    left_out = score(metrics.Dice(ignore_index=255), marked, HAND_P)
    assert score(metrics.Dice(), HAND_Y, HAND_P, sample_weight=weight > 0) == pytest.approx(left_out)


def test_classes_that_do_not_occur_are_left_out():
    ids = np.array([[[0, 0], [3, 3]], [[0, 0], [0, 0]]])
    p = np.zeros((2, 2, 2, 21), "float32")
    p[..., 0] = 1  # background everywhere
    foreground = range(1, 21)
    assert score(metrics.IoU(class_ids=foreground), ids[:1], p[:1]) == 0  # class 3 is missed, the others do not count
    assert score(metrics.IoU(class_ids=foreground), ids[1:], p[1:]) == 1  # nothing there, nothing found
    assert score(metrics.IoU(), ids[:1], p[:1]) == pytest.approx((1 / 2 + 0) / 2)
    assert score(metrics.Dice(per_image=False, class_ids=range(21)), ids, p) == pytest.approx((12 / 14 + 0) / 2)


@pytest.mark.parametrize("per_image", [True, False])
def test_what_is_not_a_number_gives_no_score(per_image):
    p, y = HAND_P.copy(), HAND_Y.copy()
    p[0, 0, 0] = np.nan
    assert np.isnan(score(metrics.IoU(per_image=per_image), y, p))
    y[0, 0, 0] = 255
    assert np.isnan(score(metrics.IoU(per_image=per_image), y, HAND_P))
    assert np.isfinite(score(metrics.IoU(per_image=per_image, ignore_index=255), y, p))


def test_an_image_with_no_valid_pixel_does_not_count():
    y = HAND_Y.copy()
    y[1] = 255
    assert score(metrics.IoU(ignore_index=255), y, HAND_P) == pytest.approx(1 / 3)
    assert score(metrics.IoU(ignore_index=255, per_image=False), y, HAND_P) == pytest.approx(1 / 3)


@pytest.mark.parametrize("make", [metrics.IoU, metrics.Dice])
def test_config_holds_every_argument_and_clones(make):
    metric = make(0.3, False, range(1, 3), 255, True, True, name="mine", dtype="float32")
    config = metric.get_config()
    assert set(config) == set(inspect.signature(metrics.OverlapMetric.__init__).parameters) - {"self"}
    assert type(metric).from_config(config).get_config() == config
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(copy) is make
    assert copy.get_config() == config
    assert make().name == make.__name__.lower()


def test_a_compiled_model_is_saved_and_loads_without_custom_objects(tmp_path):
    rng = np.random.default_rng(1)
    volumes, y = rng.random((4, 4, 4, 4, 1)).astype("float32"), rng.random((4, 4, 4, 4)) > 0.5
    inputs = keras.Input((None, None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv3D(1, 3, padding="same")(inputs))
    chosen = [metrics.IoU(from_logits=True), metrics.Dice(per_image=False, from_logits=True, name="pooled")]
    jit = keras.backend.backend() != "torch"
    weighted = [metrics.Dice(from_logits=True)]
    model.compile("adam", losses.Dice(from_logits=True), metrics=chosen, weighted_metrics=weighted, jit_compile=jit)
    model.fit(volumes, y, sample_weight=np.ones(4), verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    first, second = (m.evaluate(volumes, y, verbose=0, return_dict=True) for m in (model, loaded))
    assert first == second
    assert set(first) == {"loss", "iou", "pooled", "dice"}
    logits = model.predict(volumes, verbose=0)[..., 0]
    assert first["iou"] == pytest.approx(np.mean([metrics.iou(m, x > 0) for m, x in zip(y, logits, strict=True)]))
    assert first["pooled"] == pytest.approx(metrics.dice(y, logits > 0))


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (
            lambda: metrics.IoU(threshold=2),
            "threshold must be a probability, 0 to 1, for logits too; received 2. Try 0.5.",
        ),
        (
            lambda: metrics.IoU(class_ids=[]),
            "class_ids must name at least one class and count from 0; received (). Pass None for all classes.",
        ),
        (
            lambda: metrics.IoU(class_ids=[1]).update_state(HAND_Y, HAND_P),
            "class_ids must be below the prediction's 1 channel(s); received (1,). Count from 0.",
        ),
        (
            lambda: metrics.IoU(per_image=False).update_state(HAND_Y, np.zeros((2, 2, 2, 3))),
            "per_image=False needs class_ids for a prediction of 3 channels; received None. "
            "Pass class_ids=range(3), or range(1, 3) to leave out the background.",
        ),
        (
            lambda: metrics.IoU().update_state(HAND_Y, HAND_P, sample_weight=np.ones((2, 2))),
            "sample_weight must hold one weight per image, (batch,) or (batch, 1), or per pixel, (batch, *sides) or "
            "(batch, *sides, 1), with the sides of the prediction (2, 2, 2, 1); received (2, 2). For weights of "
            "classes pass class_weights to the loss.",
        ),
        (
            lambda: metrics.iou(np.zeros((2, 2)), np.full((2, 2), np.nan)),
            "prediction must not hold NaN. Check the weights of the model, or replace the values.",
        ),
        (
            lambda: metrics.counts(np.zeros((2, 2)), np.zeros((2, 2, 1))),
            "mask and prediction must have the same shape; received (2, 2) and (2, 2, 1). "
            "Drop the channel axis of one, or bring the prediction back to the size of the mask.",
        ),
    ],
)
def test_bad_arguments_are_told(act, text):
    with pytest.raises(InputError) as caught:
        act()
    assert str(caught.value) == text
