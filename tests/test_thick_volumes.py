"""A volume of 12 thick slices at depth 4: trained on a crop of its own, segmented whole and by windows, exported."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tifffile

from keras_unetpp.data.folders import read_folder
from keras_unetpp.exporting import export
from keras_unetpp.formats.artefact import Artefact
from keras_unetpp.formats.functions import reflected, signature
from keras_unetpp.formats.signature import Signature
from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.machine import GIB
from keras_unetpp.prediction.networks import network
from keras_unetpp.prediction.predictor import Predictor, segment
from keras_unetpp.pruning import levels, prune
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import Spec, cost, receptive_radius
from keras_unetpp.spec.levels import default_size
from keras_unetpp.spec.memory import largest_crop, training_bytes
from keras_unetpp.training import memory
from keras_unetpp.training.fit import fit
from keras_unetpp.tuning.budget import Budget

THICK = ((1, 2, 2), 2, (1, 2, 2), (2, 2, 2))
SPEC = Spec((None, None, None, 1), strides=THICK, filters=(2, 2, 2, 2, 2), kernels=((1, 3, 3), 3, 3, 3, 3))
IMAGE = np.random.default_rng(0).integers(0, 256, (12, 40, 36), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build(SPEC)


def test_each_level_tells_what_it_divides_by(model, tmp_path):
    assert (describe(model).divisors, describe(model).divisor) == ((4, 16, 16), 16)
    found = [describe(select(model, level)).divisors for level in (1, 2, 3, 4, "mean")]
    assert found == [(1, 2, 2), (2, 4, 4), (2, 8, 8), (4, 16, 16), (4, 16, 16)]
    assert [describe(prune(model, level)).divisors for level in (1, 2)] == found[:2]
    with pytest.raises(InputError, match=r"^Sides must be multiples of \(4, 16, 16\), the reductions of the lowest"):
        model(np.zeros((1, 12, 24, 32, 1), "float32"))


def test_slices_are_not_padded_where_they_need_not_be(model):
    predictor, given = Predictor(model, memory=2**40), []
    run = predictor._network.run
    object.__setattr__(predictor._network, "run", lambda batch: given.append(batch.shape[1:-1]) or run(batch))
    whole = segment(model, IMAGE)
    assert [one.shape for one in predictor(IMAGE).values()] == [(12, 40, 36, 1)] * 4
    assert given == [(12, 48, 48)]
    object.__setattr__(predictor._network, "run", run)
    x = IMAGE[None, :, :32, :32, None].astype("float32")
    assert np.abs(segment(model, IMAGE[:, :32, :32]) - model(x)["L4"][0]).max() < 1e-5
    assert network(model).steps == (4, 16, 16)
    tiled = segment(model, IMAGE, tile=(8, 32, 32), overlap=4)
    assert tiled.shape == whole.shape
    assert np.isfinite(tiled).all()
    with pytest.raises(InputError, match=r"^tile must be a positive multiple of 4 pixels\. Received: 10\."):
        segment(model, IMAGE, tile=(10, 32, 32))


def test_windows_that_overlap_far_enough_give_what_the_whole_gives():
    shallow = build(SPEC.replace(depth=1))
    assert (receptive_radius(shallow.spec, axis=0), receptive_radius(shallow.spec)) == (2, 9)
    image = np.tile(IMAGE, (4, 2, 2))[:45, :64, :50]
    tiled = segment(shallow, image, tile=(41, 48, 48), overlap=36)
    assert np.abs(segment(shallow, image) - tiled).max() < 1e-6


def test_crops_are_of_the_data(tmp_path, monkeypatch):
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(2):
            volume = np.roll(IMAGE, number)
            tifffile.imwrite(tmp_path / "data" / kind / f"{number}.tif", volume if kind == "images" else volume // 128)
    (tmp_path / "data" / "index.csv").write_text("file,split\n0.tif,train\n1.tif,val\n")
    samples = read_folder(tmp_path / "data", ndim=3)
    monkeypatch.setattr(memory, "free_memory", lambda: 64 * GIB)
    recipe = Recipe(batch_size=1, epochs=1)
    assert memory.with_crop(recipe, SPEC, samples).crop == (12, 32, 32)
    assert recipe.crop_sides(3, SPEC.divisors) == (192, 192, 192)
    assert largest_crop(SPEC, (13, 40, 40), 1, 64 * GIB) == (12, 32, 32)
    assert largest_crop(SPEC, (64, 64, 64), 1, training_bytes(SPEC, (4, 16, 16), 1)) == (4, 16, 16)
    assert largest_crop(SPEC, (64, 64, 64), 1, training_bytes(SPEC, (4, 16, 16), 1) - 1) is None
    with pytest.raises(InputError, match=r"^Recipe\.crop must be a multiple of \(4, 16, 16\), the reduction of the"):
        Recipe(crop=12).crop_sides(3, SPEC.divisors)
    small = SPEC.replace(topology="unet", deep_supervision=False, norm="none", block_layers=(1,))
    rows = fit(
        build(small), tmp_path / "data", tmp_path / "run", batch_size=1, epochs=1, augment="none", progress=False
    )
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["crop"] == [12, 32, 32]
    assert np.isfinite(rows[0]["val_L4_dice"])


def test_costs_hold_at_sides_that_are_not_padded_more_than_need_be(model):
    assert default_size(SPEC.replace(strides=(THICK[0],) * 4)) == (64, 64, 64)
    assert Budget(params=1, size=(10, 40, 40)).sides(SPEC) == (12, 48, 48)
    rows = levels(model, size=(12, 32, 32), repeat=0)
    assert rows[-2].cost == cost(SPEC, 4, size=(12, 32, 32))


def test_a_file_tells_what_each_side_is_padded_to(model):
    own = signature(model)
    assert (own.divisor, own.divisors, own.steps) == (16, (4, 16, 16), (4, 16, 16))
    assert Signature.from_json(own.to_json()) == own
    usual = signature(build((None, None, 1), depth=1, width=2))
    assert (usual.divisors, usual.steps) == ((), (2, 2))
    assert "divisors" not in usual.to_json()
    for value in ([4, 16], [4, 16, 0], "4", [True, 1, 1]):
        with pytest.raises(InputError, match=r"^divisors of a file's signature does not fit\. Received: "):
            Signature.from_json(json.dumps({**json.loads(own.to_json()), "divisors": value}))
    assert reflected(tf.zeros((1, 12, 30, 32, 1)), (4, 16, 16))[0].shape == (1, 12, 32, 32, 1)


@pytest.mark.sweep
@pytest.mark.parametrize("up", ["transpose", "nearest"])
@pytest.mark.parametrize("name", ["saved", "model.onnx", "model.tflite"])
def test_it_is_exported(up, name, tmp_path):
    keras.utils.set_random_seed(0)
    made = build(SPEC.replace(up=up, up_kernel=3, down="strided", dilations=(1, 1, 1, 1, 2)))
    size = (12, 40, 36) if name.endswith("tflite") else None
    export(made, tmp_path / name, size=size)
    file = Artefact(tmp_path / name)
    assert (file.signature.steps, file.spec) == ((4, 16, 16), made.spec)
    assert np.abs(segment(file, IMAGE) - segment(made, IMAGE)).max() < 1e-4
    if size is None:
        assert np.abs(segment(file, IMAGE[:11, :21]) - segment(made, IMAGE[:11, :21])).max() < 1e-4
