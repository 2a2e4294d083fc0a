"""Models carry their Spec, and are described alike, wherever they go."""

import copy
import pickle
from weakref import WeakKeyDictionary

import keras
import numpy as np
import pytest

import keras_unetpp as kup
from keras_unetpp.graph.describe import describe

IMAGE = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype("float32")


class Own(kup.UNetPP):
    pass


def saved(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def renamed(model, folder):
    model.name = "mine"
    return saved(model, folder)


WAYS = {
    "itself": lambda model, folder: model,
    "copy": lambda model, folder: copy.copy(model),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "clone": lambda model, folder: keras.models.clone_model(model),
    "clone of layers": lambda model, folder: keras.models.clone_model(
        model, clone_function=lambda layer: type(layer).from_config(layer.get_config())
    ),
    "clone with an input": lambda model, folder: keras.models.clone_model(
        model, input_tensors=keras.Input((16, 16, 3), name="picture")
    ),
    "configuration": lambda model, folder: type(model).from_config(model.get_config()),
    "JSON": lambda model, folder: keras.models.model_from_json(model.to_json()),
    "subclass": lambda model, folder: Own(model.input, model.output),
    "saved": saved,
    "renamed": renamed,
}


def about(model):
    """All that a description says but the model and its tensors."""
    found = describe(model)
    names = ("spec", "levels", "sides", "channels", "classes", "activation", "exclusive", "divisor", "intake",
             "whole_views", "bytes_per_pixel")  # fmt: skip
    return {name: getattr(found, name) for name in names} | {"outputs": [*found.outputs], "encoder": [*found.encoder]}


@pytest.mark.parametrize("level", [None, 1, "mean"])
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_a_model_stays_what_it_is(way, level, tmp_path):
    built = kup.build((16, 16, 3), width=4, depth=2, classes=2, norm="group", norm_groups=2)
    model = built if level is None else kup.prune(built, level)
    expected = about(model)
    assert expected["spec"] == (built.spec if level in (None, "mean") else built.spec.at_level(level))
    found = way(model, tmp_path)
    assert about(found) == expected
    assert [row.name for row in kup.levels(found, repeat=0)] == [row.name for row in kup.levels(model, repeat=0)]


@pytest.mark.parametrize("way", ["pickle", "saved"])
def test_weights_come_along(way, tmp_path):
    level = kup.prune(kup.build((16, 16, 3), width=4, depth=2), 1)
    np.testing.assert_array_equal(WAYS[way](level, tmp_path)(IMAGE), level(IMAGE))


def test_other_sides_are_those_of_the_clone():
    model = kup.build((16, 16, 3), width=4, depth=2)
    clone = keras.models.clone_model(model, input_tensors=keras.Input((None, None, 3)))
    assert clone.spec == model.spec.replace(input_shape=(None, None, 3))


def test_other_layers_are_of_no_known_spec():
    model = kup.build((16, 16, 3), width=4, depth=2)

    def softer(layer):
        config = layer.get_config()
        return type(layer).from_config(
            {**config, "activation": "gelu"} if config.get("activation") == "relu" else config
        )

    assert keras.models.clone_model(model, clone_function=softer).spec is None


def test_without_a_model_of_the_same_layers_no_spec_is_known(monkeypatch):
    config = kup.build((16, 16, 3), width=4, depth=2).get_config()
    del config["spec"]
    assert kup.UNetPP.from_config(config).spec is not None
    monkeypatch.setattr("keras_unetpp.graph.carrier._carriers", WeakKeyDictionary())
    assert kup.UNetPP.from_config(config).spec is None
