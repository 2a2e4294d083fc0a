"""Whether the settings of layers have changed since."""

import keras
import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.graph.settings import Settings


@pytest.fixture
def model():
    return build((None, None, 3), width=2, depth=1, normalization="standardize", dropout=0.1)


def test_weights_and_training_are_none_of_them(model):
    before = Settings(model)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    model.trainable = False
    model.compile("adam", "mse")
    assert not before.changed()


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        ("L1", "activation", keras.activations.linear),
        ("x_0_0_act1", "activation", keras.activations.tanh),
        ("normalization", "epsilon", 0.1),
        ("x_0_0_norm1", "epsilon", 0.5),
        ("x_1_0_pool", "strides", (1, 1)),
    ],
)
def test_what_a_layer_computes_is(model, layer, name, value):
    before = Settings(model)
    setattr(model.get_layer(layer), name, value)
    assert before.changed()
    assert not Settings(model).changed()
