"""Numbers in a Spec that no network can have: refused in a short line before anything is built."""

import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import Spec
from keras_unetpp.spec.memory import check_params, largest_batch, largest_crop, training_bytes


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"depth": 10**9}, "Spec.depth must be a whole number from 1 to 6"),
        ({"depth": 10**5000}, "Received: a int too large to be shown"),
        ({"depth": 1, "filters": (10**12, 10**12)}, "Spec.filters must be at most 65,536 each"),
        ({"depth": 6, "width": 2048}, "Spec.filters must be at most 65,536 each; a width doubles from row to row"),
        ({"width": 65537}, "Spec.width must be a whole number from 1 to 65536"),
        ({"classes": 65537}, "Spec.classes must be a whole number from 1 to 65536"),
        ({"input_shape": (None, None, 10**12)}, "Spec.input_shape has at most 65,536 channels"),
        ({"input_shape": (2**60, 2**60, 3)}, "Spec.input_shape has at most 536,870,912 pixels"),
        ({"input_shape": (None, 2**30, 3)}, "Spec.input_shape has at most 536,870,912 pixels"),
        ({"input_shape": (2**10, 2**10, 2**10, 1)}, "Spec.input_shape has at most 536,870,912 pixels"),
        ({"backbone": "mobilenet_025", "stem": [1]}, "Spec.stem must be True or False. Received: [1]"),
        ({"norm": "x" * 10**7}, "Spec.norm must be one of"),
        ({"dropout": float("nan")}, "Spec.dropout must be a number from 0.0 to 0.95"),
    ],
)
def test_beyond_a_limit(fields, told):
    with pytest.raises(InputError) as caught:
        Spec.from_dict(fields)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "fields",
    [
        {"depth": 6, "width": 1024},
        {"classes": 65536},
        {"input_shape": (2**14, 2**15, 3)},
        {"input_shape": (2**9, 2**10, 2**10, 1), "depth": 2},
    ],
)
def test_at_a_limit(fields):
    assert Spec.from_json(Spec(**fields).to_json()) == Spec(**fields)


@pytest.mark.parametrize(
    "text", ['{"depth": 1, "depth": 2}', '{"dropout": NaN}', "[" * 10**5, '{"a":' * 10**5, " " * 2**21]
)
def test_text_that_is_no_spec(text):
    with pytest.raises(InputError, match=r"^A Spec "):
        Spec.from_json(text)


def test_a_network_of_too_many_weights_is_not_built():
    with pytest.raises(InputError, match=r"at most 2,147,483,648 weights\. Received: a Spec of \d+(,\d{3}){3},"):
        build((None, None, 3), width=4096, depth=4)
    check_params(Spec(width=256))


@pytest.mark.parametrize(
    "fields",
    [
        {"epochs": 10**12},
        {"batch_size": 10**9},
        {"crop": 2**15},
        {"crop": (32, 10**9)},
        {"crops_per_epoch": 10**18},
        {"seed": 2**32},
        {"ignore_index": 2**40},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"warmup": 2},
        {"class_weights": (10**400, 1)},
        {"epochs": 10**5000},
    ],
)
def test_a_recipe_beyond_a_limit(fields):
    with pytest.raises(InputError, match=f"^Recipe.{next(iter(fields))} must be ") as caught:
        Recipe(**fields)
    assert len(str(caught.value)) < 250


def test_memory_of_training_by_closed_form():
    spec = Spec((None, None, 1), width=4, depth=1, topology="unet", normalization="none", norm="none")
    # image 1; three nodes of two convolutions with activations; pool, up, concatenation; head and its activation
    values = 1 + 4 * 4 + 4 * 8 / 4 + 4 / 4 + 4 + 8 + 4 * 4 + 2
    fixed = training_bytes(spec, (32, 32), 0)
    assert training_bytes(spec, (32, 32), 3) - fixed == round(1.25 * 3 * 4 * 32 * 32 * values)
    assert training_bytes(spec, (64, 32), 1) - fixed == 2 * (training_bytes(spec, (32, 32), 1) - fixed)


def test_what_would_fit():
    spec = Spec((None, None, None, 1), width=8, depth=2)
    free = training_bytes(spec, (32, 64, 64), 2)
    assert largest_batch(spec, (32, 64, 64), 8, free) == 2
    assert largest_batch(spec, (32, 64, 64), 1, free) == 1
    assert largest_batch(spec, (32, 64, 64), 8, 10) == 0
    crop = largest_crop(spec, (32, 96, 96), 2, free)
    assert all(side % 4 == 0 for side in crop)
    assert crop[0] == 32
    assert 0.7 * free < training_bytes(spec, crop, 2) <= free
    assert largest_crop(spec, (32, 96, 96), 2, 10) is None
