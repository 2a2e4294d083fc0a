"""Whether training fits the memory that is free, and the crops that are left open."""

import warnings

import numpy as np
import pytest
import tifffile
from pictures import disks

from keras_unetpp.data.folders import read_folder
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.kit.machine import GIB, free_memory
from keras_unetpp.pruning import levels
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import Spec
from keras_unetpp.spec.memory import training_bytes
from keras_unetpp.training import memory
from keras_unetpp.training.fit import fit

VOLUMES = Spec((None, None, None, 1), width=2, depth=1)


def volumes(folder, sides=(6, 20, 33)):
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
        for number in range(3):
            tifffile.imwrite(folder / kind / f"{number}.tif", np.ones(sides, "uint8"))
    (folder / "index.csv").write_text("file,split\n0.tif,train\n1.tif,train\n2.tif,val\n")
    return folder


def test_what_the_system_has_left():
    free = free_memory()
    assert free is None or 2**20 < free < 2**50


def test_training_that_cannot_fit_is_refused_with_what_would(monkeypatch):
    spec = Spec((None, None, None, 1))
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * GIB)
    with pytest.raises(InputError) as caught:
        memory.check_memory(spec, (192, 192, 192), 8)
    text = str(caught.value)
    assert "Received: crop 192, batch_size 8." in text
    crop = text.split("crop=")[1].split(" ")[0]
    sides = tuple(map(int, crop.split(",")))
    assert training_bytes(spec, sides, 8) <= 8 * GIB
    assert text.endswith("say check_memory=False (--no-memory-check).")


def test_training_that_may_not_fit_is_warned_of(monkeypatch):
    spec = Spec()
    monkeypatch.setattr(memory, "free_memory", lambda: training_bytes(spec, (192, 192), 8))
    with pytest.warns(InputWarning, match=r"What would fit: batch_size=6 with this crop, or crop=\d+"):
        memory.check_memory(spec, (192, 192), 8)


@pytest.mark.parametrize("free", [None, 64 * GIB])
def test_nothing_is_said_where_it_fits_or_nothing_is_known(monkeypatch, free):
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory.check_memory(Spec(), (192, 192), 8)


def test_fit_looks_before_it_claims_the_folder(tmp_path, monkeypatch):
    disks(tmp_path / "d", 4, 24)
    monkeypatch.setattr(memory, "free_memory", lambda: 10)
    model, options = build((None, None, 3), width=2, depth=1), {"epochs": 1, "crop": 16, "progress": False}
    with pytest.raises(InputError, match=r"What would fit: a smaller width or depth\."):
        fit(model, tmp_path / "d", tmp_path / "run", **options)
    assert not (tmp_path / "run" / "run.json").exists()
    fit(model, tmp_path / "d", tmp_path / "run", **options, check_memory=False)


@pytest.mark.parametrize(
    ("spec", "crop"),
    [
        (Spec(), 192),
        (Spec((64, 96, 3)), (64, 96)),
        (Spec((None, 96, 3)), (192, 96)),
        (Spec(depth=6, width=2), 192),
    ],
)
def test_a_crop_of_images_that_is_left_open(spec, crop):
    assert memory.with_crop(Recipe(), spec, []).crop == crop


def test_a_crop_of_volumes_follows_the_data_and_the_memory(tmp_path, monkeypatch):
    samples = read_folder(volumes(tmp_path), ndim=3)
    assert memory.with_crop(Recipe(), VOLUMES, samples).crop == (6, 20, 32)
    assert memory.with_crop(Recipe(crop=(2, 4, 4)), VOLUMES, samples).crop == (2, 4, 4)
    half = training_bytes(VOLUMES, (6, 20, 32), 4)
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * half)
    small = memory.with_crop(Recipe(batch_size=8), Spec((None, None, None, 1), width=2, depth=1), samples).crop
    assert training_bytes(VOLUMES, small, 8) <= half
    monkeypatch.setattr(memory, "free_memory", lambda: 10)
    assert memory.with_crop(Recipe(), VOLUMES, samples).crop == 2


def test_a_run_keeps_the_crop_that_was_left_open(tmp_path, monkeypatch):
    volumes(tmp_path / "d")
    options = {
        "epochs": 2,
        "batch_size": 1,
        "val_every": 2,
        "augment": "none",
        "progress": False,
        "check_memory": False,
    }
    model = build(VOLUMES)
    fit(model, tmp_path / "d", tmp_path / "run", until=1, **options)
    monkeypatch.setattr(memory, "free_memory", lambda: 10)
    rows = fit(build(VOLUMES), tmp_path / "d", tmp_path / "run", **options)
    assert [row["epoch"] for row in rows] == [1, 2]


def test_levels_of_volumes_are_timed_at_sides_of_the_data(tmp_path):
    volumes(tmp_path / "d")
    model = build(VOLUMES)
    at_data, at_64 = levels(model, tmp_path / "d", repeat=0), levels(model, repeat=0)
    assert at_data[0].cost.macs == levels(model, size=(6, 20, 34), repeat=0)[0].cost.macs
    assert at_64[0].cost.macs == levels(model, size=(64, 64, 64), repeat=0)[0].cost.macs
