"""Losses against hand-worked values, NumPy formulae, PyTorch and the reference network."""

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from make_golden_values import golden_values

from keras_unetpp.kit.errors import InputError
from keras_unetpp.training import losses, metrics

LOSSES = [losses.CrossEntropy, losses.Focal, losses.Tversky, losses.Dice, losses.BCEDice]


def per_image(loss, y, prediction):
    return ops.convert_to_numpy(loss.call(ops.convert_to_tensor(y), ops.convert_to_tensor(prediction)))


def random_case(seed, batch, sides, classes):
    """Class ids (batch, *sides) and logits (batch, *sides, classes)."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, max(classes, 2), (batch, *sides))
    return ids, rng.normal(0, 2, (batch, *sides, classes)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# One image of two pixels: the first is foreground and given 0.8, the second is background and given 0.4.
HAND_Y = np.array([[[1, 0]]])
HAND_P = np.array([[[[0.8], [0.4]]]], "float32")


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (losses.CrossEntropy(), 0.36698459),  # -(ln 0.8 + ln 0.6) / 2
        (losses.CrossEntropy(class_weights=(1, 3)), 0.59012814),  # -(3 ln 0.8 + ln 0.6) / 2
        (losses.Focal(gamma=2), 0.04532892),  # -(0.2^2 ln 0.8 + 0.4^2 ln 0.6) / 2
        (losses.Focal(gamma=0), 0.36698459),
        (losses.Dice(), 0.1875),  # 1 - (1.6 + 1) / (1 + 1.2 + 1)
        (losses.Dice(squared=True), 0.07142857),  # 1 - (1.6 + 1) / (1 + 0.8 + 1)
        (losses.Dice(smooth=1e-6), 0.27272727),  # 1 - 1.6 / 2.2
        (losses.Tversky(), 0.16666667),  # 1 - 1.3 / (0.8 + 0.3 * 0.4 + 0.7 * 0.2 + 0.5)
        (losses.Tversky(gamma=2), 0.40824829),
        (losses.BCEDice(), 0.37099229),  # 0.36698459 / 2 + 0.1875
        (losses.BCEDice(cross_entropy_weight=1.0, squared=True), 0.43841316),
    ],
)
def test_hand_worked_values(loss, value):
    np.testing.assert_allclose(per_image(loss, HAND_Y, HAND_P), [value], rtol=2e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.integers(1, 3),
    sides=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    classes=st.integers(1, 3),
    multi_label=st.booleans(),
)
def test_against_numpy_over_the_valid_pixels_of_each_image(seed, batch, sides, classes, multi_label):
    ids, logits = random_case(seed, batch, sides, classes)
    ids[np.random.default_rng(seed).random(ids.shape) < 0.2] = 255
    binary = multi_label or classes == 1
    weights = np.linspace(0.5, 2, max(classes, 2))
    shared = {"from_logits": True, "multi_label": multi_label, "ignore_index": 255, "class_weights": weights}
    expected = []
    for image_ids, x in zip(ids, logits, strict=True):
        keep = image_ids != 255
        p = (sigmoid(x) if binary else softmax(x))[keep]
        y = image_ids[keep][:, None] == (np.arange(classes) if classes > 1 else 1)
        p_t = np.where(y, p, 1 - p) if binary else p[y][:, None]
        focal = -((1 - p_t) ** 2) * np.log(p_t)
        focal *= np.where(y, weights[1], weights[0]) if classes == 1 else weights if binary else (y @ weights)[:, None]
        dice = 1 - (2 * (y * p).sum(0) + 1) / (y.sum(0) + p.sum(0) + 1)
        dice = np.average(dice, weights=None if classes == 1 else weights)
        expected.append((focal.mean() if keep.any() else 0, dice))
    found = [per_image(loss, ids, logits) for loss in (losses.Focal(**shared), losses.Dice(**shared))]
    np.testing.assert_allclose(np.stack(found, -1), expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("make", LOSSES)
@pytest.mark.parametrize(("classes", "multi_label"), [(1, False), (3, False), (3, True)])
def test_logits_and_probabilities_agree(make, classes, multi_label):
    ids, logits = random_case(0, 2, (4, 5), classes)
    p = sigmoid(logits) if multi_label or classes == 1 else softmax(logits)
    np.testing.assert_allclose(
        per_image(make(multi_label=multi_label, from_logits=True), ids, logits),
        per_image(make(multi_label=multi_label), ids, p),
        rtol=1e-5,
    )


def test_cross_entropy_against_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch, the independent implementation, is not installed")
    functional = torch.nn.functional
    ids, logits = random_case(1, 2, (4, 5), 3)
    ids[0, :2] = 255
    found = losses.CrossEntropy(from_logits=True, ignore_index=255)(ids[:1], logits[:1])
    channels_first = torch.tensor(logits).movedim(-1, 1)
    wanted = functional.cross_entropy(channels_first[:1], torch.tensor(ids[:1]), ignore_index=255)
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)

    multi_hot = np.random.default_rng(2).integers(0, 2, logits.shape)
    found = losses.CrossEntropy(from_logits=True, multi_label=True)(multi_hot, 20 * logits)
    wanted = functional.binary_cross_entropy_with_logits(torch.tensor(20 * logits), torch.tensor(multi_hot).float())
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def test_reproduces_the_loss_of_the_reference_network():
    values = golden_values()
    y = np.moveaxis(values["target"], 1, -1)
    heads = [np.moveaxis(values[f"train_logits/L{k}"], 1, -1) for k in range(1, 5)]
    wanted = float(values["train_loss"])
    loss = losses.CrossEntropy(from_logits=True, multi_label=True)
    assert sum(float(loss(y, head)) for head in heads) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("make", LOSSES)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32"])
def test_any_dtype_of_y_with_or_without_the_channel_axis(make, dtype):
    ids, logits = random_case(2, 2, (3, 4), 1)
    loss = make(from_logits=True)
    wanted = loss(ids, logits)
    assert float(loss(ids.astype(dtype), logits)) == float(wanted)
    assert float(loss(ids.astype(dtype)[..., None], logits)) == float(wanted)


@pytest.mark.parametrize("make", LOSSES)
def test_class_ids_and_one_hot_agree(make):
    ids, logits = random_case(3, 2, (3, 4), 3)
    ids[1, 0] = 255
    one_hot = (ids[..., None] == np.arange(3)).astype("uint8")
    one_hot[1, 0, :, 2] = 255  # in one class: enough to leave out the pixel
    loss = make(from_logits=True, ignore_index=255)
    assert float(loss(ids, logits)) == float(loss(ids[..., None], logits)) == float(loss(one_hot, logits))


def test_half_precision_predictions_are_summed_in_float32():
    y, p = np.ones((1, 300, 300), bool), np.ones((1, 300, 300, 1), "float16")  # 90,000 is above float16's 65,504
    assert keras.backend.standardize_dtype(losses.BCEDice()(y, p).dtype) == "float32"
    assert float(losses.Dice()(y, p)) == 0
    assert float(losses.CrossEntropy()(y, p)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("make", LOSSES)
@pytest.mark.parametrize("classes", [1, 3])
def test_ignored_pixels_change_nothing(make, classes):
    ids, logits = random_case(4, 2, (4, 4), classes)
    ids[:, 1:3] = 255
    loss = make(from_logits=True, ignore_index=255)
    changed = logits.copy()
    changed[:, 1:3, :, 0] += 3
    np.testing.assert_array_equal(per_image(loss, ids, logits), per_image(loss, ids, changed))
    changed[:, 0, :, 0] += 3
    assert (per_image(loss, ids, logits) != per_image(loss, ids, changed)).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="uses tf.GradientTape")
@pytest.mark.parametrize("make", [*LOSSES, lambda **shared: losses.Tversky(gamma=4 / 3, **shared)])
def test_gradient_is_zero_on_ignored_pixels_and_finite_where_all_is_right(make):
    import tensorflow as tf

    ids, logits = random_case(5, 3, (4, 4), 1)
    ids[0, 1:3] = 255
    ids[1] = 255
    logits[2] = np.where(ids[2] == 1, 200, -200)[..., None]  # saturated: the loss is 0
    x = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = make(from_logits=True, ignore_index=255)(ids, x)
    gradient = tape.gradient(value, x).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[0, 1:3] == 0).all()
    assert (gradient[1] == 0).all()
    assert (gradient[0, [0, 3]] != 0).all()


def test_an_empty_mask_that_is_predicted_empty_has_no_loss():
    y, p = np.zeros((1, 4, 4)), np.zeros((1, 4, 4, 1), "float32")
    for make in LOSSES:
        assert float(make()(y, p)) == pytest.approx(0, abs=1e-6), make
    assert float(losses.Dice()(y, p + 1)) == pytest.approx(16 / 17)


def test_an_id_that_names_no_class_shows_as_nan():
    ids, logits = random_case(6, 1, (2, 2), 3)
    ids[0, 0, 0] = 3
    assert np.isnan(losses.BCEDice(from_logits=True)(ids, logits))
    assert np.isfinite(losses.BCEDice(from_logits=True, ignore_index=3)(ids, logits))


def test_class_weights_of_overlap_can_leave_out_the_background():
    ids, logits = random_case(7, 2, (4, 4), 3)
    each = [per_image(losses.Dice(from_logits=True, class_weights=row), ids, logits) for row in np.eye(3)]
    weighted = losses.Dice(from_logits=True, class_weights=(0, 1, 3))
    np.testing.assert_allclose(per_image(weighted, ids, logits), (each[1] + 3 * each[2]) / 4, rtol=1e-6)


def test_one_value_per_image_takes_sample_weight_and_reduction():
    ids, logits = random_case(8, 3, (2, 3, 4), 1)
    values = losses.BCEDice(from_logits=True, reduction=None)(ids, logits)
    assert tuple(values.shape) == (3,)
    weighted = losses.BCEDice(from_logits=True)(ids, logits, sample_weight=np.array([1.0, 0.0, 2.0]))
    first, _, third = ops.convert_to_numpy(values)
    assert float(weighted) == pytest.approx((first + 2 * third) / 3, rel=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        losses.CrossEntropy(class_weights=[1, 2], ignore_index=255, reduction="sum", name="ce"),
        losses.Focal(gamma=1.5, from_logits=True),
        losses.Tversky(alpha=0.4, beta=0.6, gamma=1.2, smooth=0.1, multi_label=True),
        losses.Dice(smooth=0.5, squared=True),
        losses.BCEDice(cross_entropy_weight=1.0, squared=True, ignore_index=-1),
    ],
)
def test_config_holds_every_argument_and_makes_an_equal_loss(loss):
    config = loss.get_config()
    named = [inspect.signature(cls.__init__).parameters for cls in (type(loss), losses.SegmentationLoss)]
    assert {name for parameters in named for name in parameters} - {"self", "shared"} <= set(config)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == config


@pytest.mark.parametrize("loss", [losses.Dice(class_weights=(0, 1, 1)), losses.BCEDice()])
def test_a_compiled_model_trains_is_saved_and_loads_without_custom_objects(loss, tmp_path):
    rng = np.random.default_rng(9)
    images, ids = rng.random((4, 8, 8, 3)).astype("float32"), rng.integers(0, 3, (4, 8, 8))
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 3, padding="same", activation="softmax")(inputs))
    jit = keras.backend.backend() != "torch"
    model.compile(keras.optimizers.Adam(0.1), loss, metrics=[metrics.Dice()], jit_compile=jit)
    history = model.fit(images, ids, epochs=8, batch_size=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert type(loaded.loss) is type(loss)
    assert loaded.evaluate(images, ids, verbose=0) == model.evaluate(images, ids, verbose=0)


def test_trains_in_3d_with_mixed_precision():
    rng = np.random.default_rng(10)
    volumes, ids = rng.random((2, 4, 4, 4, 1)).astype("float32"), rng.random((2, 4, 4, 4)) > 0.5
    inputs = keras.Input((None, None, None, 1))
    hidden = keras.layers.Conv3D(2, 3, padding="same", dtype="mixed_float16")(inputs)
    model = keras.Model(inputs, keras.layers.Conv3D(1, 1, activation="sigmoid", dtype="mixed_float16")(hidden))
    model.compile("adam", losses.BCEDice(), metrics=[metrics.IoU()])
    assert np.isfinite(model.fit(volumes, ids, verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (
            lambda: losses.Dice(smooth=0),
            "smooth must be above 0, or an empty mask divides 0 by 0; received 0. Try 1e-6.",
        ),
        (lambda: losses.Focal(gamma=-1), "gamma must be 0 or more; received -1. The paper uses 2."),
        (
            lambda: losses.Tversky(alpha=0, beta=0),
            "alpha and beta must be 0 or more, not both 0, and gamma above 0; received alpha=0, beta=0, gamma=1.0. "
            "Try alpha=0.3, beta=0.7, gamma=1.",
        ),
        (
            lambda: losses.BCEDice(cross_entropy_weight=-1),
            "cross_entropy_weight must be 0 or more; received -1. UNet++ uses 0.5.",
        ),
        (
            lambda: losses.CrossEntropy(class_weights=()),
            "class_weights must not be negative nor all 0; received (). "
            "Pass one weight per class, or None for equal weights.",
        ),
        (
            lambda: losses.CrossEntropy(class_weights=(1,))(HAND_Y, HAND_P),
            "class_weights must hold 2 weights for a prediction of 1 channel(s); received (1.0,). "
            "For one channel pass (background, foreground).",
        ),
        (
            lambda: losses.CrossEntropy(ignore_index=0)(HAND_Y, HAND_P),
            "ignore_index must differ from the labels 0 and 1 that y holds for each class; received 0. "
            "Mark the pixels to leave out with another value, such as 255.",
        ),
        (
            lambda: losses.CrossEntropy()(np.zeros((1, 2, 3)), np.zeros((1, 4, 6, 3), "float32")),
            "y must be of shape (batch, *sides), (batch, *sides, 1) or (batch, *sides, 3) with the sides of the "
            "prediction (1, 4, 6, 3); received (1, 2, 3, 1). Bring y to one of these.",
        ),
        (
            lambda: losses.CrossEntropy()(np.zeros((1, 2, 3)), np.zeros((1, 4, 6, 1), "float32")),
            "y must be of shape (batch, *sides) or (batch, *sides, 1) with the sides of the prediction (1, 4, 6, 1); "
            "received (1, 2, 3, 1). Bring y to one of these.",
        ),
    ],
)
def test_bad_arguments_are_told(act, text):
    with pytest.raises(InputError) as caught:
        act()
    assert str(caught.value) == text


@pytest.mark.parametrize("make", LOSSES)
@pytest.mark.parametrize("y", [[0, 255], [-1, 1], [1, 2], [0, np.nan]])
def test_labels_that_mean_nothing_show_as_nan(make, y):
    p = np.full((1, 2, 2, 1), 0.4, "float32")
    assert np.isnan(make()(np.array([[y, y]]), p))
    one_hot = np.array([[[y, y[::-1]], [y, y]]])
    assert np.isnan(make(multi_label=True)(one_hot, np.full((1, 2, 2, 2), 0.4, "float32")))


@pytest.mark.parametrize("make", LOSSES)
@pytest.mark.parametrize(("sides", "classes"), [((4, 4), 1), ((4, 4), 3), ((2, 3, 4), 1), ((2, 3, 4), 3)])
def test_pixels_of_weight_0_are_left_out_like_those_of_ignore_index(make, sides, classes):
    ids, logits = random_case(11, 3, sides, classes)
    marked, weight = ids.copy(), np.ones(ids.shape)
    marked[:, 1:], weight[:, 1:] = 255, 0
    marked[2], weight[2] = 255, 0
    wanted = float(make(from_logits=True, ignore_index=255)(marked, logits))
    loss = make(from_logits=True)
    for y in (ids, marked):  # what stands there does not matter
        for one in (weight, weight[..., None], weight > 0):
            assert float(loss(y, logits, sample_weight=one)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("make", LOSSES)
def test_the_same_weight_for_all_pixels_of_an_image_is_that_of_the_image(make):
    ids, logits = random_case(12, 3, (4, 4), 3)
    images = np.array([1.0, 0.25, 3.0])
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
        loss = make(from_logits=True, reduction=reduction)
        wanted = float(loss(ids, logits, sample_weight=images))
        for one in (images[:, None], images[:, None, None, None], np.broadcast_to(images[:, None, None], ids.shape)):
            assert float(loss(ids, logits, sample_weight=one)) == pytest.approx(wanted, rel=1e-5), reduction


def test_weights_of_pixels_hand_worked():
    weight = np.array([[[3.0, 1.0]]])
    found = losses.CrossEntropy()(HAND_Y, HAND_P, sample_weight=weight)
    assert float(found) == pytest.approx(0.59012814)  # -(3 ln 0.8 + ln 0.6) / 2, as of class weights
    # Relative weights 1.5 and 0.5, mean weight 2: 2 (1 - (2 * 1.5 * 0.8 + 1) / (1.5 + 1.5 * 0.8 + 0.5 * 0.4 + 1))
    assert float(losses.Dice()(HAND_Y, HAND_P, sample_weight=weight)) == pytest.approx(2 * (1 - 3.4 / 3.9), rel=1e-5)


def test_weights_below_0_and_of_other_shapes():
    assert np.isnan(losses.BCEDice()(HAND_Y, HAND_P, sample_weight=np.array([[[1.0, -1.0]]])))
    for shape in ((1, 2), (1, 2, 1), (1, 1, 2, 2), (2, 1, 2)):
        with pytest.raises(InputError) as caught:
            losses.BCEDice()(HAND_Y, HAND_P, sample_weight=np.ones(shape))
        assert str(caught.value) == (
            "sample_weight must hold one weight per image, (batch,) or (batch, 1), or per pixel, (batch, *sides) or "
            f"(batch, *sides, 1), with the sides of the prediction (1, 1, 2, 1); received {shape}. For weights of "
            "classes pass class_weights to the loss."
        )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="uses tf.GradientTape")
@pytest.mark.parametrize("make", LOSSES)
def test_gradient_is_zero_on_pixels_of_weight_0(make):
    import tensorflow as tf

    ids, logits = random_case(13, 2, (4, 4), 1)
    weight, x = np.ones(ids.shape, "float32"), tf.constant(logits)
    weight[0, 1:3] = weight[1] = 0
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = make(from_logits=True)(ids, x, sample_weight=weight)
    gradient = tape.gradient(value, x).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[0, 1:3] == 0).all()
    assert (gradient[1] == 0).all()
    assert (gradient[0, [0, 3]] != 0).all()
