"""Heads and losses that contradict each other are refused when they are compiled."""

import warnings

import keras
import numpy as np
import pytest

import keras_unetpp as kup
from keras_unetpp.kit.errors import InputError, InputWarning

OWN = (kup.losses.BCEDice, kup.losses.CrossEntropy, kup.losses.Dice, kup.losses.Tversky, kup.losses.Focal)
BCE, CCE = keras.losses.BinaryCrossentropy, keras.losses.CategoricalCrossentropy
SCCE = keras.losses.SparseCategoricalCrossentropy


def built(classes=1, head="auto", **fields):
    return kup.build((None, None, 1), classes=classes, head_activation=head, width=2, depth=2, norm="none", **fields)


LOGITS = "L1 gives logits (linear), but {} takes probabilities. Pass from_logits=True to it, or build the model with"
OTHER = LOGITS.replace("Pass from_logits=True to it", "Take a loss with from_logits=True")
WRONG = [
    *((1, "linear", one(), LOGITS.format(one.__name__) + " head_activation='sigmoid'.") for one in OWN),
    (3, "linear", OWN[0](), LOGITS.format("BCEDice") + " head_activation='softmax'."),
    (3, "linear", OWN[0](multi_label=True), LOGITS.format("BCEDice") + " head_activation='sigmoid'."),
    (1, "linear", BCE(), LOGITS.format("BinaryCrossentropy") + " head_activation='sigmoid'."),
    (1, "linear", "binary_crossentropy", OTHER.format("binary_crossentropy")),
    (1, "linear", "bce", OTHER.format("binary_crossentropy")),
    (1, "linear", keras.losses.BinaryFocalCrossentropy(), LOGITS.format("BinaryFocalCrossentropy")),
    (3, "linear", SCCE(), LOGITS.format("SparseCategoricalCrossentropy") + " head_activation='softmax'."),
    (3, "linear", keras.losses.sparse_categorical_crossentropy, OTHER.format("sparse_categorical_crossentropy")),
    (1, "linear", keras.losses.Dice(), OTHER.format("Dice")),
    (1, "auto", OWN[0](from_logits=True), "L1 gives probabilities (sigmoid), but BCEDice has from_logits=True. Leave "),
    (3, "auto", CCE(from_logits=True), "L1 gives probabilities (softmax), but CategoricalCrossentropy has from_logits"),
    (3, "auto", OWN[0](multi_label=True), "L1 gives probabilities (softmax) of 3 classes that exclude each other, but"
     " BCEDice lets them overlap. Leave out multi_label, or build the model with head_activation='sigmoid'."),
    (3, "softmax", BCE(), "L1 gives probabilities (softmax) of 3 classes that exclude each other"),
    (3, "sigmoid", OWN[0](), "L1 gives probabilities (sigmoid) of 3 classes that may overlap, but in BCEDice they"
     " exclude each other. Pass multi_label=True to it, or build the model with head_activation='softmax'."),
    (3, "sigmoid", SCCE(), "L1 gives probabilities (sigmoid) of 3 classes that may overlap"),
    (1, "auto", CCE(), "L1 gives probabilities (sigmoid) of one class, for which CategoricalCrossentropy is always 0."),
    (1, "auto", [OWN[0](), OWN[0](from_logits=True)], "L2 gives probabilities (sigmoid), but BCEDice has from_logits"),
    (1, "linear", {"L2": OWN[0]()}, "L2 gives logits"),
]  # fmt: skip


@pytest.mark.parametrize(("classes", "head", "loss", "text"), WRONG)
def test_contradictions(classes, head, loss, text):
    with pytest.raises(InputError) as caught:
        built(classes, head).compile("sgd", loss)
    assert str(caught.value).startswith(text)


def test_of_one_head():
    with pytest.raises(InputError, match=r"^The model gives logits \(linear\), but BCEDice takes probabilities"):
        built(head="linear", deep_supervision=False).compile("sgd", OWN[0]())


def dice(y_true, y_pred):
    """A loss of somebody's own."""
    return keras.ops.mean(y_true * y_pred)


RIGHT = [
    *((1, "auto", one()) for one in OWN),
    *((1, "linear", one(from_logits=True)) for one in OWN),
    (1, "auto", OWN[0](multi_label=True)),
    (3, "auto", OWN[0]()),
    (3, "sigmoid", OWN[0](multi_label=True)),
    (3, "linear", OWN[0](from_logits=True)),
    (3, "linear", OWN[0](from_logits=True, multi_label=True)),
    (1, "auto", "binary_crossentropy"),
    (1, "linear", BCE(from_logits=True)),
    (3, "auto", SCCE(ignore_class=2)),
    (3, "auto", keras.losses.Dice()),
    (3, "sigmoid", "binary_crossentropy"),
    *((classes, "linear", loss) for classes in (1, 3) for loss in ("mse", keras.losses.Huber(), dice, None)),
    (3, "sigmoid", dice),
    (1, "auto", {"L1": OWN[0](), "L2": "mse"}),
]


@pytest.mark.parametrize(("classes", "head", "loss"), RIGHT)
def test_what_agrees(classes, head, loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built(classes, head).compile("sgd", loss)


@pytest.mark.parametrize(("classes", "head", "options", "loss"), [
    (1, "linear", {}, {"from_logits": True}), (1, "auto", {"from_logits": True}, {}),
    (3, "sigmoid", {}, {"multi_label": True})])  # fmt: skip
def test_metrics_that_contradict_are_told(classes, head, options, loss):
    for given in ([kup.metrics.IoU(**options)], {"L1": kup.metrics.Dice(**options)}):
        with pytest.warns(InputWarning, match=r"^L1 gives ") as seen:
            built(classes, head).compile("sgd", OWN[0](**loss), metrics=given)
        assert [one.filename for one in seen] == [__file__]


def test_files_of_before_open_all_the_same(tmp_path, monkeypatch):
    model = built(head="linear")
    monkeypatch.setattr(type(model), "_contradiction", lambda self, given: None)
    model.compile("sgd", OWN[0]())  # as earlier versions let it be
    model.save(tmp_path / "model.keras")
    monkeypatch.undo()
    with pytest.warns(InputWarning, match=r"^L1 gives logits \(linear\), but BCEDice takes probabilities"):
        loaded = kup.load(tmp_path / "model.keras")
    x = np.zeros((1, 8, 8, 1), "float32")
    assert np.array_equal(loaded(x)["L2"], model(x)["L2"])
    assert isinstance(loaded.loss["L1"], OWN[0])
