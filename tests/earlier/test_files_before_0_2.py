"""Files of every kind that version 0.1.0 wrote open, and give what that version read from them."""

import json
import zipfile
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy
from make_earlier_files import EXPORTED, EXPORTS, LEVELS, NETWORKS, ZOO, batch

import keras_unetpp as kup
from keras_unetpp import weights

CLOSE = 5e-6
"""What processors may differ by; other instructions of oneDNN make 1.5e-6. Where it was made, all is bit-equal."""

STEP = 1 / 256
"""Of probabilities in a file of 8 bits, whose roundings may fall the other way."""


SINCE = {"grouped": {"standardize_epsilon": 0.1}}
"""Fields that Spec has had since then, with what was fixed before and is not their default."""


def spec_of(name):
    return kup.Spec(**NETWORKS[name], **SINCE.get(name, {}))


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    with zipfile.ZipFile(Path(__file__).with_name("files_before_0_2.zip")) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def expected(earlier):
    with np.load(earlier / "expected.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def loaded(earlier):
    """A model by the name of its file, opened once."""
    return cache(lambda file: kup.load(earlier / file))


def kept_arrays(earlier, name):
    with np.load(earlier / f"{name}.npz") as file:
        return dict(file)


def assert_same_arrays(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name], err_msg=name, strict=True)


def assert_segments(model, levels, expected, file, close=CLOSE):
    """Probabilities are as kept, and so are masks wherever these are not on the edge of another class."""
    predictor = kup.Predictor(model)
    for level in levels:
        probabilities, mask = expected[f"{file}/{level}"], expected[f"{file}/{level}/mask"]
        found = kup.segment(model, expected["image"], level)
        np.testing.assert_allclose(found, probabilities, rtol=0, atol=close, err_msg=str(level), strict=True)
        if probabilities.shape[-1] == 1:
            probabilities = np.concatenate([probabilities, 1 - probabilities], axis=-1)
        second, first = np.moveaxis(np.sort(probabilities, axis=-1)[..., -2:], -1, 0)
        sure = first - second > 2 * close
        assert sure.all() or close == STEP
        np.testing.assert_array_equal(predictor.mask(found)[sure], mask[sure], err_msg=str(level), strict=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_model(earlier, loaded, expected, name):
    model = loaded(f"{name}.keras")
    assert type(model) is kup.UNetPP
    assert_same_arrays(weights.state(model), kept_arrays(earlier, name))
    assert_segments(model, (2, "mean"), expected, f"{name}.keras")  # and level 1 as it was pruned


@pytest.mark.parametrize("name", NETWORKS)
def test_its_spec(earlier, loaded, name):
    text = (earlier / f"{name}.json").read_text()
    spec = loaded(f"{name}.keras").spec
    assert spec == spec_of(name) == kup.Spec.from_json(text)
    assert json.loads(text).items() <= spec.to_dict().items()


@pytest.mark.parametrize("name", NETWORKS)
def test_it_goes_on_training(loaded, expected, name):
    model = loaded(f"{name}.keras")
    assert type(model.optimizer) is keras.optimizers.Adam
    assert int(model.optimizer.iterations) == 1
    model.run_eagerly = True  # sooner done than compiled
    images, ids = batch(model.spec.classes)
    assert model.evaluate(images, ids, verbose=0)[0] == pytest.approx(expected[f"{name}/loss"], rel=CLOSE)


@pytest.mark.parametrize("name", NETWORKS)
def test_its_levels_cost_what_they_did(loaded, expected, name):
    rows = kup.levels(loaded(f"{name}.keras"), repeat=0)
    assert [[row.cost.params, row.cost.macs] for row in rows] == expected[f"{name}/costs"].tolist()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pruned_model(earlier, expected, name):
    for model in (kup.load(earlier / f"{name}-L1.keras"), keras.models.load_model(earlier / f"{name}-L1.keras")):
        found, whole = weights.state(model), kept_arrays(earlier, name)
        assert 0 < len(found) < len(whole)
        assert_same_arrays(found, {one: whole[one] for one in found})
    assert_segments(model, (None,), expected, f"{name}-L1.keras")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_of_weights(earlier, name):
    path = earlier / f"{name}.safetensors"
    assert_same_arrays(safetensors.numpy.load_file(path), kept_arrays(earlier, name))
    model = kup.build(kup.Spec.from_dict(weights.read(path)[1]["spec"]))
    assert model.spec == spec_of(name)
    weights.load(model, path)
    assert_same_arrays(weights.state(model), kept_arrays(earlier, name))


@pytest.mark.parametrize("file", EXPORTS)
def test_an_exported_file(earlier, expected, file):
    artefact = kup.Artefact(earlier / file)
    assert artefact.names == ("L1", "L2", "mean")
    assert artefact.spec == spec_of(EXPORTED)
    assert_segments(artefact, LEVELS, expected, file, STEP if "quantize" in EXPORTS[file] else CLOSE)


def test_the_weights_of_the_zoo(expected):
    predictor = kup.Predictor(kup.load(ZOO))
    heads = predictor(expected["image"])
    assert list(heads) == ["L1", "L2", "L3", "L4"]
    for head, probabilities in heads.items():
        np.testing.assert_allclose(probabilities, expected[f"{ZOO}/{head}"], rtol=0, atol=CLOSE, strict=True)
        np.testing.assert_array_equal(predictor.mask(probabilities), expected[f"{ZOO}/{head}/mask"], strict=True)


def test_every_kept_file_is_read(earlier):
    made = {f"{name}{suffix}" for name in NETWORKS for suffix in (".keras", "-L1.keras", ".npz", ".safetensors")}
    made |= {f"{name}.json" for name in NETWORKS} | {"expected.npz"} | {file.split("/")[0] for file in EXPORTS}
    reports = {f"{file}.json" for file in EXPORTS if "/" not in file}
    assert {path.name for path in earlier.iterdir()} == made | reports
