"""Deep supervision in Keras' own words: one y for all heads in compile, fit and evaluate; saved and loaded whole."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from precision import precision

from keras_unetpp.graph.build import build
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.kit.errors import InputError
from keras_unetpp.training import losses, metrics

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 255, (4, 8, 8, 3)).astype("float32")
Y = RNG.integers(0, 2, (4, 8, 8, 1)).astype("float32")
BCE = "binary_crossentropy"


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[2 * index : 2 * index + 2], Y[2 * index : 2 * index + 2]


SOURCES = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": 2},
    "tf.data": lambda: {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)},
    "PyDataset": lambda: {"x": Pairs()},
}


def small(**fields):
    """A network that computes the same in training and inference, so that losses can be checked by hand."""
    keras.utils.set_random_seed(1)
    return build(**{"input_shape": (8, 8, 3), "depth": 2, "width": 2, "norm": "none", **fields})


def compiled(model=None, optimizer="sgd", loss=BCE, **options):
    model = model or small()
    model.compile(optimizer, loss=loss, **{"run_eagerly": True, **options})
    return model


def frozen():
    return keras.optimizers.SGD(0.0)


def cross_entropy(model, x=X, y=Y):
    """Mean binary cross-entropy of each head, in NumPy."""
    outputs = {name: np.clip(output.numpy(), 1e-7, 1 - 1e-7) for name, output in model(x).items()}
    return {name: -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)) for name, p in outputs.items()}


@pytest.mark.parametrize("source", SOURCES)
def test_one_y_feeds_all_heads(source):
    model = compiled(optimizer=frozen())
    expected = cross_entropy(model)
    wanted = {"L1_loss": expected["L1"], "L2_loss": expected["L2"], "loss": expected["L1"] + expected["L2"]}
    assert model.evaluate(**SOURCES[source](), verbose=0, return_dict=True) == pytest.approx(wanted, rel=1e-5)
    history = model.fit(**SOURCES[source](), shuffle=False, verbose=0).history
    assert {name: value for name, (value,) in history.items()} == pytest.approx(wanted, rel=1e-5)


def test_training_moves_every_weight():
    model = compiled(small(activation="leaky_relu"))
    before = [weight.numpy().copy() for weight in model.trainable_weights]
    model.fit(X, Y, verbose=0)
    moved = [np.any(old != new.numpy()) for old, new in zip(before, model.trainable_weights, strict=True)]
    assert all(moved)


@pytest.mark.parametrize(
    ("weights", "first", "second"), [([1, 0.5], 1, 0.5), ((0, 1), 0, 1), ({"L2": 3.0, "L1": 2.0}, 2, 3)]
)
def test_loss_weights(weights, first, second):
    model = compiled(loss_weights=weights)
    expected = cross_entropy(model)
    total = first * expected["L1"] + second * expected["L2"]
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"loss_weights": [1.0]}, "loss_weights must have one entry for each of L1, L2. Received: [1.0]."),
        ({"loss_weights": 0.5}, "loss_weights must have one entry for each of L1, L2. Received: 0.5."),
        ({"loss_weights": {"L1": 1}}, "loss_weights must have one entry for each of L1, L2. Received: {'L1': 1}."),
        (
            {"loss_weights": {"L1": 1, "L3": 1}},
            "loss_weights must have one entry for each of L1, L2. Received: {'L1': 1, 'L3': 1}.",
        ),
        ({"loss": [BCE]}, "loss must have one entry for each of L1, L2. Received: ['binary_crossentropy']."),
        (
            {"loss": {"L2": BCE}, "loss_weights": [1, 1]},
            "loss_weights must have one entry for each of L2. Received: [1, 1].",
        ),
    ],
)
def test_errors_of_compile(options, text):
    with pytest.raises(InputError) as caught:
        compiled(**options)
    assert str(caught.value) == text


@pytest.mark.parametrize("loss", [{"L1": BCE, "L2": "mse"}, [BCE, "mse"]], ids=["dict", "list"])
def test_a_loss_for_each_head(loss):
    model = compiled(loss=loss)
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found["L1_loss"] == pytest.approx(cross_entropy(model)["L1"], rel=1e-5)
    assert found["L2_loss"] == pytest.approx(np.mean((model(X)["L2"].numpy() - Y) ** 2), rel=1e-5)


def test_a_loss_for_one_head_leaves_the_others_out():
    model = compiled(loss={"L1": BCE})
    expected = cross_entropy(model)["L1"]
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_y_for_each_head():
    model = compiled(optimizer=frozen())
    found = model.evaluate(X, {"L1": Y, "L2": 1 - Y}, verbose=0, return_dict=True)
    assert found["L1_loss"] == pytest.approx(cross_entropy(model)["L1"], rel=1e-5)
    assert found["L2_loss"] == pytest.approx(cross_entropy(model, y=1 - Y)["L2"], rel=1e-5)


def test_each_head_has_its_own_metrics():
    given = metrics.IoU()
    model = compiled(metrics=[given, "mse"])
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert {"L1_iou", "L2_iou", "L1_mse", "L2_mse"} < set(found)
    for head, output in model(X).items():
        alone = metrics.IoU()
        alone.update_state(Y, output)
        assert found[f"{head}_iou"] == pytest.approx(float(alone.result()), rel=1e-6)
        assert found[f"{head}_mse"] == pytest.approx(np.mean((output.numpy() - Y) ** 2), rel=1e-5)
    own = [item for item in model._compile_metrics.metrics if isinstance(item, metrics.IoU)]
    assert len(set(map(id, own))) == 2
    assert given not in own


def test_metrics_for_one_head():
    found = compiled(metrics={"L2": [metrics.IoU()]}).evaluate(X, Y, verbose=0, return_dict=True)
    assert {name for name in found if "iou" in name} == {"L2_iou"}


def test_sample_weight_of_images():
    model = compiled(loss=losses.CrossEntropy(), weighted_metrics=[metrics.IoU()])
    half = model.evaluate(X[:2], Y[:2], verbose=0, return_dict=True)
    found = model.evaluate(X, Y, sample_weight=np.array([1.0, 1, 0, 0]), verbose=0, return_dict=True)
    assert found["L1_loss"] == pytest.approx(half["L1_loss"] / 2, rel=1e-5)
    assert found["L2_iou"] == pytest.approx(half["L2_iou"], rel=1e-5)


def test_sample_weight_of_pixels():
    model, weight = compiled(), RNG.uniform(0, 1, (4, 8, 8))
    found = model.evaluate(X, Y, sample_weight=weight, verbose=0, return_dict=True)
    for head, output in model(X).items():
        right = np.where(Y > 0, output, 1 - output)[..., 0]
        assert found[f"{head}_loss"] == pytest.approx(np.mean(weight * -np.log(right)), rel=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_compiled_steps_equal_eager_steps(jit):
    fields = {"depth": 1, "activation": "tanh"}
    eager = compiled(small(**fields))
    fast = compiled(small(**fields), run_eagerly=False, jit_compile=jit)
    one, other = (model.fit(X, Y, shuffle=False, verbose=0).history for model in (eager, fast))
    assert {name: value for name, (value,) in other.items()} == pytest.approx(
        {n: v for n, (v,) in one.items()}, rel=1e-5
    )
    for a, b in zip(eager.weights, fast.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = compiled(
            small(norm="batch", normalization="standardize"), loss=losses.BCEDice(), metrics=[metrics.IoU()]
        )
        history = model.fit(X, Y, verbose=0).history
        model.save(tmp_path / "mixed.keras")
        loaded = keras.models.load_model(tmp_path / "mixed.keras")
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("x_0_1_conv1").compute_dtype == policy.removeprefix("mixed_")
    assert {output.dtype for output in model(X).values()} == {tf.float32}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    assert np.isfinite(history["loss"][0])
    np.testing.assert_array_equal(loaded(X)["L2"], model(X)["L2"])


def test_saved_and_loaded_bit_by_bit(tmp_path):
    model = compiled(small(norm="batch", dropout=0.1), "adam", losses.BCEDice(), loss_weights=[0.5, 1],
                     metrics=[metrics.IoU()])  # fmt: skip
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is UNetPP
    assert loaded.spec == model.spec
    for name, output in model(X).items():
        np.testing.assert_array_equal(loaded(X)[name], output)
    loaded.run_eagerly = True
    assert loaded.evaluate(X, Y, verbose=0, return_dict=True) == model.evaluate(X, Y, verbose=0, return_dict=True)
    assert loaded.optimizer.iterations.numpy() == 1
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_single_head_trains_on(tmp_path):
    model = compiled(small(deep_supervision=False), metrics=[metrics.IoU()])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert set(loaded.fit(X, Y, verbose=0).history) == {"loss", "iou"}
    assert loaded.spec == model.spec


def test_not_compiled_saves_too(tmp_path):
    small().save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").spec == small().spec


def test_config_round_trip():
    model = small(topology="unet+", classes=3)
    again = UNetPP.from_config(model.get_config())
    assert again.spec == model.spec
    assert again.get_config() == model.get_config()


def test_open_sides_at_two_sizes():
    model = compiled(small(input_shape=(None, None, 3)))
    for height, width in [(8, 8), (12, 4)]:
        x, y = X[:, :4, :4].repeat(height // 4, 1).repeat(width // 4, 2), np.zeros((4, height, width))
        model.fit(x, y, verbose=0)
        assert model.predict(x, verbose=0)["L1"].shape == (4, height, width, 1)


PADDED = (
    "Every side must be a multiple of 4, the reduction of the lowest row."
    " Received: (6, 8). Pad to (8, 8), use a smaller depth, or call"
    " segment(), which pads and crops by itself."
)


@pytest.mark.parametrize("use", ["__call__", "predict", "fit"])
def test_sides_that_do_not_divide(use):
    model = compiled(small(input_shape=(None, None, 3)))
    arguments = (X[:, :6], Y[:, :6]) if use == "fit" else (X[:, :6],)
    with pytest.raises(InputError) as caught:
        getattr(model, use)(*arguments)
    assert str(caught.value) == PADDED


def test_volumes():
    model = compiled(small(input_shape=(4, 4, 8, 1), up="nearest", classes=3), loss=losses.BCEDice())
    history = model.fit(np.zeros((2, 4, 4, 8, 1)), np.ones((2, 4, 4, 8)), verbose=0).history
    assert np.isfinite(history["L2_loss"][0])


def test_a_clone_works_and_saves_without_the_spec_that_keras_leaves_behind(tmp_path):
    model = build((8, 8, 1), width=2, depth=1)
    clone = keras.models.clone_model(model)
    clone.save(tmp_path / "clone.keras")
    assert keras.saving.load_model(tmp_path / "clone.keras").count_params() == model.count_params()


@pytest.fixture
def half():
    """A model of mixed precision; all else stays as it is."""
    with precision("mixed_float16"):
        return small()


@pytest.mark.parametrize(("options", "kind"), [({}, "LossScaleOptimizer"), ({"auto_scale_loss": False}, "Adam")])
def test_the_optimizer_of_mixed_precision_is_kept(half, options, kind, tmp_path):
    half.compile("adam", losses.BCEDice(), run_eagerly=True, **options)
    half.fit(X, Y, verbose=0)
    half.save(tmp_path / "half.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        again = keras.saving.load_model(tmp_path / "half.keras")
    assert type(again.optimizer).__name__ == type(half.optimizer).__name__ == kind
    for own, other in zip(half.optimizer.variables, again.optimizer.variables, strict=True):
        assert np.array_equal(own.numpy(), other.numpy())
    losses_of = [model.fit(X, Y, verbose=0).history["loss"] for model in (half, again)]
    assert losses_of[0] == pytest.approx(losses_of[1], rel=1e-4)
    again.compile("adam", losses.BCEDice())
    assert type(again.optimizer) is keras.optimizers.LossScaleOptimizer
