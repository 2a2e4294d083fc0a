"""Frozen, thawed and slowed encoders."""

import keras
import numpy as np
import pytest
from sampling import sampled

import keras_unetpp as kup
from keras_unetpp.graph.describe import describe
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.names import row_of

X = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
Y = (np.random.default_rng(1).uniform(size=(2, 32, 32, 1)) > 0.5).astype("float32")
PLAIN = {"topology": "unet", "deep_supervision": False, "norm": "none"}
"""Quick to trace: what is tested is the encoder."""


@pytest.fixture
def model(small_backbone):
    keras.utils.set_random_seed(0)
    return kup.build((32, 32, 3), backbone=small_backbone, depth=3, width=2, **PLAIN)


def values(model):
    return {weight.path: np.array(weight) for weight in model.weights}


def moved(model, before):
    """Rows of the backbone in which a weight has changed, and whether one outside has."""
    own = {weight.path: row_of(layer.name) for layer in describe(model).encoder.values() for weight in layer.weights}
    changed = {weight.path for weight in model.weights if not np.array_equal(weight, before[weight.path])}
    return {own[path] for path in changed & own.keys()}, bool(changed - own.keys())


@pytest.mark.parametrize("compiled_first", sampled([True, False], [True]))
def test_freeze_and_unfreeze(model, compiled_first):
    if not compiled_first:
        kup.freeze_encoder(model)
    model.compile("adam", kup.losses.BCEDice())
    model.train_on_batch(X, Y)  # a step that was traced before must not go on
    kup.freeze_encoder(model)
    before = values(model)
    model.fit(X, Y, epochs=2, verbose=0)
    assert moved(model, before) == (set(), True)
    kup.unfreeze_encoder(model)
    if not compiled_first:
        model.compile("adam", kup.losses.BCEDice())
    model.fit(X, Y, verbose=0)
    assert moved(model, before) == ({1, 2, 3}, True)


def test_batch_statistics_may_go_on(model):
    model.compile("adam", kup.losses.BCEDice())
    kup.freeze_encoder(model, batch_norm=False)
    before = values(model)
    model.train_on_batch(X, Y)
    kinds = {path.split("/")[-1] for path, value in values(model).items() if not np.array_equal(value, before[path])}
    assert {"moving_mean", "moving_variance"} <= kinds
    kernels = [layer.kernel for layer in describe(model).encoder.values() if hasattr(layer, "kernel")]
    assert all(np.array_equal(kernel, before[kernel.path]) for kernel in kernels)


class Moves(keras.callbacks.Callback):
    """Which rows moved in each epoch."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def on_epoch_begin(self, epoch, logs=None):
        self.before = values(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.rows.append(sorted(moved(self.model, self.before)[0]))


def test_gradual_unfreezing(model, tmp_path):
    model.compile("adam", kup.losses.BCEDice())
    moves = Moves()
    model.fit(X, Y, epochs=5, verbose=0, callbacks=[kup.GradualUnfreezing(1, every=1), moves])
    assert moves.rows == [[], [3], [2, 3], [1, 2, 3], [1, 2, 3]]
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD(0.1, 0.9), keras.optimizers.AdamW(1e-3, 0.01),
                                       keras.optimizers.Lion(1e-3)])  # fmt: skip
def test_a_lower_learning_rate_for_the_encoder(model, optimizer):
    start = values(model)
    steps = []
    for factor in (1.0, 0.25):
        for weight in model.weights:
            weight.assign(start[weight.path])
        own = type(optimizer).from_config(optimizer.get_config())
        model.compile(own, kup.losses.BCEDice(), encoder_learning_rate=factor, run_eagerly=True)
        model.train_on_batch(X, Y)
        steps.append({weight.path: np.array(weight) - start[weight.path] for weight in model.trainable_weights})
    slowed = {weight.path for layer in describe(model).encoder.values() for weight in layer.trainable_weights}
    for path, step in steps[0].items():
        assert np.allclose(steps[1][path], (0.25 if path in slowed else 1) * step, atol=3e-7)


@pytest.mark.parametrize("rates", [(0.1, 0.1), (0.1, 0.5, 0.1, 0.1), (0.1, 1.0), (1.0, 0.1, 1.0)])
def test_only_the_last_rate_of_an_optimizer_counts(model, rates):
    start, steps = values(model), []
    for own in ([rates[-1]], rates):
        for weight in model.weights:
            weight.assign(start[weight.path])
        optimizer = keras.optimizers.SGD(0.1)
        plain = optimizer.apply
        for rate in own:
            model.compile(optimizer, kup.losses.BCEDice(), encoder_learning_rate=rate, run_eagerly=True)
        assert (optimizer.apply == plain) == (rates[-1] == 1)
        model.train_on_batch(X, Y)
        steps.append(values(model))
    assert moved(model, start)[1]
    assert all(np.array_equal(steps[0][path], steps[1][path]) for path in start)


def test_a_hypermodel_compiles_with_the_rate_of_the_recipe(model, small_backbone):
    keras_tuner = pytest.importorskip("keras_tuner")
    fields = {"backbone": small_backbone, "depth": 3, "width": 2, "input_shape": (32, 32, 3), **PLAIN}
    own = kup.UNetPPHyperModel(kup.Budget(params=10**7), encoder_learning_rate=0.0, warmup=0.0, **fields)
    built = own.build(keras_tuner.HyperParameters())
    before = values(built)
    built.train_on_batch(X, Y)
    slowed = {weight.path for layer in describe(built).encoder.values() for weight in layer.trainable_weights}
    changed = {one.path for one in built.trainable_weights if not np.array_equal(one, before[one.path])}
    assert slowed
    assert not changed & slowed
    assert changed
    assert built.get_compile_config()["encoder_learning_rate"] == 0.0


def test_the_rate_survives_saving(model, tmp_path):
    model.compile("adam", kup.losses.BCEDice(), encoder_learning_rate=0.0, run_eagerly=True)
    model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    before = {weight.path: np.array(weight) for weight in loaded.trainable_weights}
    loaded.train_on_batch(X, Y)
    slowed = [weight for layer in describe(loaded).encoder.values() for weight in layer.trainable_weights]
    assert all(np.array_equal(weight, before[weight.path]) for weight in slowed)


def test_a_run_with_a_frozen_start_goes_on_where_it_was(disk_folder, small_backbone, tmp_path):
    fields = {"epochs": 3, "crop": 32, "batch_size": 2, "crops_per_epoch": 2, "frozen_epochs": 1, "thaw_epochs": 1}
    fields |= {"encoder_learning_rate": 0.5, "progress": False}

    def fresh():
        keras.utils.set_random_seed(0)
        return kup.build((None, None, 3), backbone=small_backbone, depth=3, width=2, **PLAIN)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    whole = fresh()
    kup.fit(whole, disk_folder, tmp_path / "whole", **fields)
    with pytest.raises(KeyboardInterrupt):
        kup.fit(fresh(), disk_folder, tmp_path / "parts", callbacks=[Stop()], **fields)
    resumed = fresh()
    kup.fit(resumed, disk_folder, tmp_path / "parts", **fields)
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        assert np.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("call", [kup.freeze_encoder, kup.unfreeze_encoder])
def test_models_without_a_backbone(call):
    with pytest.raises(InputError, match=r"^This is about backbones, and model 'unetpp' has none\. Build one with"):
        call(kup.build((16, 16, 3), depth=1, width=2))


def test_recipe_without_a_backbone(disk_folder, tmp_path):
    with pytest.raises(InputError, match="has none"):
        kup.fit(kup.build((None, None, 3), depth=1, width=2), disk_folder, tmp_path / "run", frozen_epochs=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rate", [-0.1, 1.5, True, "low"])
def test_rates_out_of_range(model, rate):
    with pytest.raises(InputError, match=rf"^encoder_learning_rate must be a number from 0 to 1\. Received: {rate!r}"):
        model.compile("adam", kup.losses.BCEDice(), encoder_learning_rate=rate)


@pytest.mark.parametrize("arguments", [(-1,), (1, -1), (0.5,)])
def test_epochs_out_of_range(arguments):
    with pytest.raises(InputError, match="frozen and every must be whole numbers of at least 0"):
        kup.GradualUnfreezing(*arguments)
