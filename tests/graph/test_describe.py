"""Heads of a built model: found by name, cut out without changing a bit, averaged."""

import keras
import numpy as np
import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.kit.errors import InputError

IMAGE = np.random.default_rng(0).uniform(0, 255, (2, 16, 24, 3)).astype("float32")


@pytest.fixture(scope="module")
def model():
    return build((None, None, 3), depth=3, width=2, classes=2)


@pytest.fixture(scope="module")
def single():
    return build((None, None, 3), depth=3, width=2, deep_supervision=False)


@pytest.fixture(scope="module")
def outputs(model):
    return {name: output.numpy() for name, output in model(IMAGE).items()}


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_is_that_head_bit_by_bit(model, outputs, level):
    one = select(model, level)
    assert type(one) is type(keras.Model(one.inputs, one.outputs))
    assert (one.name, one.output_names) == (f"unetpp_L{level}", [f"L{level}"])
    np.testing.assert_array_equal(one(IMAGE), outputs[f"L{level}"])


def test_a_level_shares_its_weights(model):
    assert {id(weight) for weight in select(model, 1).weights} < {id(weight) for weight in model.weights}


def test_none_is_the_deepest(model, outputs):
    np.testing.assert_array_equal(select(model)(IMAGE), outputs["L3"])
    np.testing.assert_array_equal(select(model, "L2")(IMAGE), outputs["L2"])


def test_mean(model, outputs):
    mean = select(model, "mean")
    assert mean.output_names == ["mean"]
    np.testing.assert_allclose(mean(IMAGE), np.mean(list(outputs.values()), 0), atol=1e-6)
    np.testing.assert_array_equal(select(model, "mean")(IMAGE), mean(IMAGE))
    assert list(describe(model).outputs) == ["L1", "L2", "L3"]


def test_a_level_needs_no_more_than_its_own_rows(model):
    assert [describe(select(model, level)).divisor for level in (1, 2, 3, "mean")] == [2, 4, 8, 8]
    assert select(model, 1)(IMAGE[:, :14, :2]).shape == (2, 14, 2, 2)


def test_a_selected_level_has_that_head_only(model):
    one = select(model, 2)
    assert list(describe(one).outputs) == ["L2"]
    assert list(describe(select(one, 2)).outputs) == ["L2"]


def test_heads_of_a_single_head(single):
    assert list(describe(single).outputs) == ["L3"]
    assert describe(single).divisor == 8
    np.testing.assert_array_equal(select(single, 3)(IMAGE), single(IMAGE))


def test_a_saved_level_opens_and_keeps_its_names(model, outputs, tmp_path):
    select(model, 2).save(tmp_path / "level.keras")
    loaded = keras.models.load_model(tmp_path / "level.keras")
    np.testing.assert_array_equal(loaded(IMAGE), outputs["L2"])
    found = describe(loaded)
    assert (list(found.outputs), found.divisor, found.activation) == (["L2"], 4, "softmax")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, "sigmoid"), ({"classes": 2}, "softmax"), ({"head_activation": "linear"}, "linear")],
)
def test_head_activation(fields, expected):
    model = build((8, 8, 1), depth=1, width=2, **fields)
    assert describe(model).activation == describe(select(model, 1)).activation == expected


@pytest.mark.parametrize("level", [0, 4, "L4", True, 2.0])
def test_unknown_level(model, level):
    with pytest.raises(InputError) as caught:
        select(model, level)
    assert str(caught.value) == f"This model has heads for level 1, 2, 3 or 'mean'. Received: {level!r}."


@pytest.mark.parametrize("level", [1, "mean"])
def test_unknown_level_of_a_single_head(single, level):
    with pytest.raises(InputError) as caught:
        select(single, level)
    assert str(caught.value) == f"This model has heads for level 3. Received: {level!r}."


def test_a_stranger_is_not_described():
    stranger = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1)], name="stranger")
    with pytest.raises(InputError) as caught:
        describe(stranger)
    assert str(caught.value) == "This is no model of keras_unetpp: no layer of 'stranger' is named x_0_0_... ."
