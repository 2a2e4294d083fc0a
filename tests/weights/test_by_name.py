import json
import re

import keras
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from keras_unetpp import weights
from keras_unetpp.files import RECORD
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import Spec

SPEC = Spec((None, None, 1), width=2, depth=2, dropout=0.1)


@pytest.fixture(scope="module")
def model():
    """A model whose every weight differs from its start, so that nothing is equal by chance."""
    made = build(SPEC)
    rng = np.random.default_rng(1)
    for weight in made.weights:
        weight.assign(rng.normal(1, 0.1, weight.shape).astype("float32"))
    return made


def scrambled(state, **changes):
    """The state in another order, with some entries changed or, by None, left out."""
    return {name: value for name, value in {**dict(reversed(state.items())), **changes}.items() if value is not None}


def test_state_names_every_weight_once_and_no_seed(model):
    found = weights.state(model)
    assert len(found) == len(model.weights) < len(model.variables)
    assert found["x_0_1_conv1/kernel"].shape == (3, 3, 4, 2)
    assert {name.split("/")[1] for name in found if name.startswith("x_0_0_norm1/")} == {
        *("gamma", "beta", "moving_mean", "moving_variance")
    }


def test_state_is_a_copy(model):
    found = weights.state(model)
    found["L1_conv/bias"] += 1
    assert (weights.state(model)["L1_conv/bias"] != found["L1_conv/bias"]).all()


def test_assign_goes_by_name_whatever_the_order(model):
    other = build(SPEC)
    weights.assign(other, scrambled(weights.state(model)))
    for name, array in weights.state(other).items():
        np.testing.assert_array_equal(array, weights.state(model)[name], err_msg=name)
    x = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 1)).astype("float32")
    for head, expected in model(x).items():
        np.testing.assert_array_equal(other(x)[head], expected)


def test_assign_reports_everything_at_once_and_assigns_nothing(model):
    before = weights.state(model)
    wrong = scrambled(
        {name: array + 1 for name, array in before.items()},
        **{"x_0_0_conv1/kernel": None, "L2_conv/bias": None, "x_9_9_conv1/kernel": np.ones(2), "seed": np.ones(1)},
        **{"x_0_1_conv1/kernel": np.ones((3, 3, 2, 2)), "L1_conv/bias": np.float32(1)},
    )
    expected = (
        "old.npz does not fit model 'unetpp', and nothing was assigned. "
        "2 missing: x_0_0_conv1/kernel, L2_conv/bias; "
        "2 extra: x_9_9_conv1/kernel, seed; "
        "2 of another shape: x_0_1_conv1/kernel (expected (3, 3, 4, 2), received (3, 3, 2, 2)), "
        "L1_conv/bias (expected (1,), received ()). "
        "Build the model from the Spec of these weights."
    )
    with pytest.raises(InputError) as caught:
        weights.assign(model, wrong, source="old.npz")
    assert str(caught.value) == expected
    for name, array in weights.state(model).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@pytest.mark.parametrize(("value", "kind"), [("a", "<U1"), (1 + 2j, "complex128"), (None, "object")])
def test_assign_changes_nothing_when_a_value_is_no_real_number(model, value, kind):
    before = weights.state(model)
    with pytest.raises(InputError, match=rf"real numbers\. Received: L2_conv/bias \({kind}\)\. Nothing was assigned"):
        weights.assign(model, {name: array + 1 for name, array in before.items()} | {"L2_conv/bias": np.array([value])})
    for name, array in weights.state(model).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_a_long_list_is_cut_with_a_count(model):
    names = list(weights.state(model))
    with pytest.raises(InputError, match=re.escape(f"{len(names)} missing: {', '.join(names[:10])} and")) as caught:
        weights.assign(model, {})
    assert f"{names[9]} and {len(names) - 10} more. Build" in str(caught.value)


def test_weights_of_another_level_are_refused(model):
    small = build(SPEC.replace(depth=1))
    with pytest.raises(InputError, match=r"\d+ extra: x_2_0_conv1/kernel, .* and \d+ more"):
        weights.assign(small, weights.state(model))


def test_layers_inside_layers_are_refused():
    inner = [keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)], name=name) for name in ("a", "b")]
    outer = keras.Sequential([keras.layers.Input((2,)), keras.Sequential(inner, name="both")], name="outer")
    expected = (
        "Weights need a name layer/variable each. Received: model 'outer', 4 weights of 2 names. "
        "Use a model whose layers hold no further layers, such as build() makes."
    )
    with pytest.raises(InputError) as caught:
        weights.variables(outer)
    assert str(caught.value) == expected


@pytest.mark.parametrize("dtype", [None, "float32", "float16"])
def test_a_file_brings_back_what_was_saved(model, tmp_path, dtype):
    path = tmp_path / "w.safetensors"
    weights.save(model, path, dtype=dtype)
    other = build(SPEC)
    weights.load(other, path)
    for name, array in weights.state(model).items():
        found = weights.state(other)[name]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, array.astype(dtype or "float32").astype("float32"), err_msg=name)


def test_float16_halves_the_file_and_keeps_eleven_bits(model, tmp_path):
    for dtype in ("float16", "float32"):
        weights.save(model, tmp_path / dtype, dtype=dtype)
    count = sum(array.size for array in weights.state(model).values())
    sizes = [(tmp_path / dtype).stat().st_size for dtype in ("float16", "float32")]
    assert 2 * count <= sizes[1] - sizes[0] < 2 * count + 100
    half, _ = weights.read(tmp_path / "float16")
    for name, array in weights.state(model).items():
        np.testing.assert_allclose(half[name].astype("float32"), array, rtol=2**-11, err_msg=name)


def test_the_header_says_what_the_file_is(model, tmp_path):
    path = tmp_path / "w.safetensors"
    weights.save(model, path)
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["keras_unetpp"])
    assert about == weights.read(path)[1]
    assert about["format"] == 1
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", about["version"])
    assert Spec.from_dict(about["spec"]) == SPEC


def test_a_model_without_a_spec_is_saved_without_one(tmp_path):
    plain = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1, name="d")])
    weights.save(plain, tmp_path / "w.safetensors")
    arrays, about = weights.read(tmp_path / "w.safetensors")
    assert sorted(arrays) == ["d/bias", "d/kernel"]
    assert about["spec"] is None


def test_equal_weights_make_equal_bytes(model, tmp_path):
    paths = [tmp_path / f"{turn}.safetensors" for turn in range(4)]
    for path in paths:
        weights.save(model, path)
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_file_from_elsewhere_is_read_if_its_names_fit(model, tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file(weights.state(model), path)
    weights.load(build(SPEC), path)
    assert weights.read(path)[1] == {}


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        ("float16", 65505.0, "up to 65504, the largest float16. Largest magnitude received: L1_conv/bias (65505.0). "),
        ("float16", -np.inf, "up to 65504, the largest float16. Largest magnitude received: L1_conv/bias (inf). "),
        ("float32", np.nan, "up to 3.40282e+38, the largest float32. Largest magnitude received: L1_conv/bias (nan). "),
        (None, np.inf, "up to 1.79769e+308, the largest float64. Largest magnitude received: L1_conv/bias (inf). "),
    ],
)
def test_what_a_file_cannot_hold_is_named_and_the_old_file_stays(model, tmp_path, dtype, value, text):
    path = tmp_path / "w.safetensors"
    weights.save(model, path)
    before = path.read_bytes()
    other = build(SPEC)
    other.get_layer("L1_conv").bias.assign([value])
    with pytest.raises(InputError) as caught:
        weights.save(other, path, dtype=dtype)
    assert str(caught.value) == (
        f"Weights must be finite numbers {text}Save as float32, or go back to weights from before training diverged."
    )
    assert path.read_bytes() == before
    assert set(tmp_path.iterdir()) == {tmp_path / RECORD, path}


def test_65504_fits_float16(model, tmp_path):
    other = build(SPEC)
    other.get_layer("L1_conv").bias.assign([65504.0])
    weights.save(other, tmp_path / "w.safetensors", dtype="float16")
    assert weights.read(tmp_path / "w.safetensors")[0]["L1_conv/bias"] == 65504


def test_an_unknown_dtype_is_refused(model, tmp_path):
    with pytest.raises(InputError, match=r"^dtype must be 'float16', 'float32' or None\. Received: 'int8'\.$"):
        weights.save(model, tmp_path / "w.safetensors", dtype="int8")


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_file_cut_off_is_an_error_that_names_it(model, tmp_path, kept):
    path = tmp_path / "w.safetensors"
    weights.save(model, path)
    path.write_bytes(path.read_bytes()[:kept])
    text = rf"^{re.escape(str(path))} is cut off, damaged, or no safetensors file \(.*\)\. Write or fetch it again\.$"
    with pytest.raises(InputError, match=text):
        weights.load(model, path)


def test_a_file_of_something_else_is_an_error_that_names_it(model, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} is cut off, damaged, or no safetensors file"):
        weights.load(model, path)


def test_a_header_with_line_ends_is_told_in_one_line(tmp_path):
    path, header = tmp_path / "w.safetensors", b'{"a":{"dtype":"\\n","shape":[0],"data_offsets":[0,0]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(InputError, match=r"^[^\n]* no safetensors file \([^\n]*\)\. Write or fetch it again\.$"):
        weights.read(path)


def test_a_missing_file_is_an_os_error_that_names_it(model, tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(FileNotFoundError, match=f"cannot read {re.escape(str(path))}: No such file"):
        weights.load(model, path)


def test_a_file_of_a_later_format_is_refused(model, tmp_path):
    path = tmp_path / "w.safetensors"
    about = {"format": 2, "version": "9.0.0"}
    safetensors.numpy.save_file(weights.state(model), path, {"keras_unetpp": json.dumps(about)})
    expected = f"{path} has format 2; this keras_unetpp reads formats up to 1. Upgrade it to 9.0.0 or later."
    with pytest.raises(InputError) as caught:
        weights.load(model, path)
    assert str(caught.value) == expected


def test_load_names_the_file_when_names_do_not_fit(model, tmp_path):
    path = tmp_path / "w.safetensors"
    weights.save(model, path)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} does not fit model 'unetpp'.* of another shape"):
        weights.load(build(SPEC.replace(width=4)), path)


def test_a_file_too_short_for_a_network_is_told_before_one_is_built(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(bytes(200))
    weights.check_enough(path, 100)
    with pytest.raises(InputError) as caught:
        weights.check_enough(path, 101)
    assert str(caught.value) == (
        f"{path} must hold the 101 weights that its Spec describes. Received: a file of 200 bytes, which are fewer. Get"
        " both again from who made them."
    )
