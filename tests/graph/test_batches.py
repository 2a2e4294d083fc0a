"""Whatever gives y to a model, it is looked at; weights of classes become those of pixels."""

import keras
import numpy as np
import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.training import losses, metrics

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (8, 8, 8, 1)).astype("float32")
Y = (RNG.random((8, 8, 8, 1)) > 0.6).astype(np.uint8)
LATE = Y.copy()
LATE[5] *= 255  # in the second batch
SPARSE = np.where(np.arange(8)[:, None, None, None] == 3, Y, 0)
WEIGHTS = {0: 1, 1: 3}


class Batches(keras.utils.PyDataset):
    """Two batches of four."""

    def __init__(self, y, **options):
        super().__init__(**options)
        self.y = y

    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(4 * index, 4 * index + 4)
        return X[part], self.y[part]


def endless(y):
    while True:
        for index in range(2):
            yield Batches(y)[index]


def dataset(y):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    return tf.data.Dataset.from_tensor_slices((X, y)).batch(4)


GIVEN = {
    "arrays": lambda y: {"x": X, "y": y, "batch_size": 4},
    "tensors": lambda y: {"x": X, "y": keras.ops.convert_to_tensor(y), "batch_size": 4},
    "PyDataset": lambda y: {"x": Batches(y)},
    "workers": lambda y: {"x": Batches(y, workers=2)},
    "generator": lambda y: {"x": endless(y), "steps_per_epoch": 2},
    "tf.data": lambda y: {"x": dataset(y)},
}


def compiled(classes=1, activation=None, **options):
    keras.utils.set_random_seed(0)
    fields = {} if activation is None else {"head_activation": activation}
    model = build((None, None, 1), classes=classes, width=2, depth=1, norm="none", **fields)
    model.compile(keras.optimizers.SGD(0.1), losses.BCEDice(**options), run_eagerly=True)
    return model


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize(("y", "text"), [(LATE, r"0(, 1)?, 255 \(uint8\)"), (Y * 2.0 - 1, r"-1, 1 \(float64\)")])
def test_labels_that_mean_nothing_are_refused_whatever_gives_them(kind, y, text):
    with pytest.raises(InputError, match=rf"^y must hold 0 and 1, or soft labels .* Received: {text}"):
        compiled().fit(**GIVEN[kind](y), verbose=0, shuffle=False)


@pytest.mark.parametrize("held_out", [(X, LATE), Batches(LATE), [X, LATE]], ids=["arrays", "PyDataset", "list"])
def test_so_are_those_held_out(held_out):
    with pytest.raises(InputError, match=r"^y must hold 0 and 1"):
        compiled().fit(X, Y, validation_data=held_out, verbose=0)


@pytest.mark.parametrize("call", [
    lambda model: model.evaluate(X, LATE, verbose=0), lambda model: model.evaluate(Batches(LATE), verbose=0),
    lambda model: model.train_on_batch(X, LATE), lambda model: model.test_on_batch(X, LATE)])  # fmt: skip
def test_and_those_of_the_other_doors(call):
    with pytest.raises(InputError, match=r"^y must hold 0 and 1"):
        call(compiled())


def test_a_loss_that_wants_other_targets_gets_them():
    model = build((None, None, 1), width=2, depth=1, head_activation="linear")
    model.compile("sgd", "mean_absolute_error", run_eagerly=True)
    assert np.isfinite(model.fit(X, Y * 255, verbose=0).history["loss"]).all()
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True), run_eagerly=True)
    with pytest.raises(InputError, match=r"^y must hold 0 and 1"):
        model.fit(X, Y * 255, verbose=0)


@pytest.mark.parametrize("kind", GIVEN)
def test_class_weights_are_weights_of_pixels_whatever_gives_y(kind):
    wanted = compiled().fit(X, Y, batch_size=4, shuffle=False, verbose=0,
                            sample_weight=np.where(Y > 0, 3, 1)).history["loss"]  # fmt: skip
    found = compiled().fit(**GIVEN[kind](Y), verbose=0, shuffle=False, class_weight=WEIGHTS).history["loss"]
    assert found == pytest.approx(wanted, rel=1e-5)


def test_class_weights_by_id_and_on_one_batch_and_not_in_validation():
    ids = Y[..., 0] * 2
    one_hot = (ids[..., None] == np.arange(3)).astype("float32")
    found = [compiled(3).fit(X, y, verbose=0, class_weight={2: 5.0}).history["loss"] for y in (ids, one_hot)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    loss = losses.CrossEntropy(class_weights=(1, 3))
    model = compiled()
    model.compile("sgd", losses.CrossEntropy(), run_eagerly=True)
    wanted = float(loss(Y, model(X)["L1"]))
    assert model.train_on_batch(X, Y, class_weight=WEIGHTS, return_dict=True)["loss"] == pytest.approx(wanted)
    split = [compiled().fit(X, Y, verbose=0, batch_size=8, validation_split=0.25, **options).history["val_loss"]
             for options in ({}, {"class_weight": {0: 1, 1: 1}})]  # fmt: skip
    assert split[0] == pytest.approx(split[1], rel=1e-5)


def test_weights_of_pixels_held_out():
    weight = (RNG.random((8, 8, 8)) > 0.5).astype("float32")
    marked = np.where(weight[..., None] > 0, Y, 255)
    found = compiled().fit(X, Y, validation_data=(X, marked, weight), verbose=0).history["val_loss"]
    wanted = compiled(ignore_index=255).fit(X, Y, validation_data=(X, marked), verbose=0).history["val_loss"]
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    "y",
    [Y, Y > 0, Y[..., 0], Y * 0.9 + 0.05, Y.astype("float16"), np.where(np.arange(8)[:, None, None, None] == 3, Y, 0)],
)
def test_ordinary_targets_are_not_told_off(y, recwarn):
    assert np.isfinite(compiled().fit(X, y, verbose=0).history["loss"]).all()
    assert not [one for one in recwarn if one.category is InputWarning]


def test_what_is_odd_though_possible_is_told_once():
    with pytest.warns(InputWarning, match=r"^The largest value of y is 0.00392157") as seen:
        compiled().fit(X, Y / 255, epochs=2, verbose=0)
    assert len(seen) == 1


NOTHING = {
    "background": (Y * 0, {}, {}, "All pixels of y that count are 0, the background, so that is all that "),
    "foreground": (Y * 0 + 1, {}, {}, "All pixels of y that count are 1, the foreground, so "),
    "255 left out": (Y * 255, {"ignore_index": 255}, {}, "All pixels of y that count are 0, the background, so that is"
                     " all that can be learnt. If 255 marks the foreground, pass y == 255 and no ignore_index."),
    "all left out": (Y * 0 + 255, {"ignore_index": 255}, {}, "No pixel of y counts, since those of 255 are left "),
    "weights of 0": (Y, {}, {"sample_weight": np.zeros(8)}, "No pixel of y counts, since those of weight 0 are "),
    "weights": (Y, {}, {"sample_weight": np.where(Y > 0, 0, 1)}, "All pixels of y that count are 0, the background"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_targets_that_teach_nothing_are_told_once(name):
    y, options, given, text = NOTHING[name]
    with pytest.warns(InputWarning) as seen:
        compiled(**options).fit(X, y, epochs=2, verbose=0, **given)
    (found,) = (str(one.message) for one in seen if one.category is InputWarning)
    assert found.startswith(text)


@pytest.mark.parametrize("y", [Y[..., 0] * 0, Y[..., 0] * 0 + 2, np.eye(3)[Y[..., 0] * 0]])
def test_so_are_those_of_one_class_of_several(y):
    with pytest.warns(InputWarning, match=r"^All pixels of y that count are .*\. Pass masks that show all classes\."):
        compiled(3).fit(X, y, verbose=0)


def test_a_loss_that_is_not_finite_is_told():
    model = compiled()
    model.compile(keras.optimizers.SGD(np.inf), losses.BCEDice(), run_eagerly=True)
    with pytest.warns(InputWarning, match=r"^The loss is not finite, and the weights are most likely lost"):
        model.fit(X, Y, batch_size=4, verbose=0)


def test_a_generator_goes_on_where_it_was_left():
    own = endless(Y)
    compiled().fit(own, steps_per_epoch=1, verbose=0)
    next(own)  # not closed


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"class_weight": {0: 1, 2: 1}}, "class_weight must map ids 0..1 to finite weights of at least 0, 0 for "
         "background and 1 for foreground. Received: {0: 1, 2: 1}."),
        ({"class_weight": {1: -1}}, "class_weight must map ids 0..1"),
        ({"class_weight": WEIGHTS, "sample_weight": np.ones(8)}, "Pass class_weight or sample_weight, not both."),
        ({"sample_weight": -np.ones(8)}, "sample_weight must hold finite numbers of at least 0. Received: -1"),
        ({"sample_weight": np.ones((8, 4, 4))}, "sample_weight must hold one weight per image"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(options, text):
    with pytest.raises(InputError) as caught:
        compiled().fit(X, Y, verbose=0, **options)
    assert str(caught.value).startswith(text)


def test_class_weights_of_classes_that_overlap():
    model = compiled(2, activation="sigmoid", multi_label=True)
    with pytest.raises(InputError, match=r"^class_weight is for classes that exclude each other"):
        model.fit(X, np.concatenate([Y, Y], -1), class_weight=WEIGHTS, verbose=0)


def test_a_compiled_step_of_any_model_shows_what_means_nothing():
    inputs = keras.Input((None, None, 1))
    plain = keras.Model(inputs, keras.layers.Conv2D(1, 1, activation="sigmoid")(inputs))
    plain.compile("sgd", losses.BCEDice(), metrics=[metrics.IoU()])
    found = plain.fit(X, Y * 255, verbose=0).history
    assert np.isnan(found["loss"]).all()
    assert np.isnan(found["iou"]).all()
