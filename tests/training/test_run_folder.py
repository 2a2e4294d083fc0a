"""What a training does to the folder that it is told to write to."""

import math
import os
import shutil
import warnings

import numpy as np
import pytest
from pictures import disks
from sampling import sampled

from keras_unetpp.files import RECORD
from keras_unetpp.formats.keras_file import load_model
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.recipe import Recipe
from keras_unetpp.training import run as runs
from keras_unetpp.training.fit import fit, prepare
from keras_unetpp.training.run import Run, read_log

OPTIONS = {"epochs": 3, "crop": 16, "batch_size": 2, "crops_per_epoch": 4, "describe": False, "progress": False}
MINE = {"run.json": '{"mine": 1}', "log.csv": "my,log\n1,2\n", "best.keras": "my best model", "last.keras": "my last",
        "notes.txt": "notes"}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return disks(tmp_path / "data", 4, 24)


def model():
    return build((None, None, 3), width=2, depth=1)


def contents(run):
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file() and path.name != RECORD}


@pytest.mark.parametrize("there", [*(name for name in MINE if name != "notes.txt"), "all"])
def test_what_is_not_ours_is_left_alone_unless_that_is_said(folder, tmp_path, there):
    run = tmp_path / "run"
    run.mkdir()
    for name in MINE if there == "all" else [there]:
        (run / name).write_text(MINE[name])
    before = contents(run)
    with pytest.raises(InputError, match=r"is there already, and this package did not write it.* overwrite=True"):
        fit(model(), folder, run, until=1, **OPTIONS)
    assert contents(run) == before
    if there == "all":
        assert len(fit(model(), folder, run, until=1, overwrite=True, **OPTIONS)) == 1
        assert len(fit(model(), folder, run, until=2, **OPTIONS)) == 2
        assert (run / "notes.txt").read_text() == "notes"


@pytest.mark.parametrize("gone", sampled(["last.keras", "run.json"], ["run.json"]))
def test_a_run_that_cannot_go_on_is_not_begun_anew_over_its_best_model(folder, tmp_path, gone):
    run = tmp_path / "run"
    fit(model(), folder, run, until=2, **OPTIONS)
    (run / gone).rename(tmp_path / gone)
    before = contents(run)
    with pytest.raises(InputError, match=rf"holds best\.keras and log\.csv of a run that cannot go on: {gone} is gone"):
        fit(model(), folder, run, **OPTIONS)
    assert contents(run) == before
    (tmp_path / gone).rename(run / gone)
    assert len(fit(model(), folder, run, until=3, **OPTIONS)) == 3
    (run / gone).unlink()
    assert len(fit(model(), folder, run, until=1, overwrite=True, **OPTIONS)) == 1


@pytest.mark.parametrize("killed_at", sampled(["best.keras", "last.keras"], ["last.keras"]))
def test_a_run_killed_in_its_first_epoch_begins_anew(folder, tmp_path, monkeypatch, killed_at):
    run, save = tmp_path / "run", runs._save

    def killed(model, path, *more):
        if path.name == killed_at:
            raise KeyboardInterrupt
        save(model, path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "_save", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(model(), folder, run, **OPTIONS)
    assert len(read_log(run / "log.csv")) == 1
    assert [row["epoch"] for row in fit(model(), folder, run, until=2, **OPTIONS)] == [1, 2]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A data folder, and a run of three epochs."""
    root = tmp_path_factory.mktemp("base")
    rows = fit(model(), disks(root / "data", 4, 24), root / "run", **OPTIONS)
    return root, rows


@pytest.fixture
def run(base, tmp_path):
    """A copy of that run, as files that were moved or restored are."""
    shutil.copytree(base[0] / "run", tmp_path / "run")
    return tmp_path / "run"


def again(base, run, **more):
    return fit(model(), base[0] / "data", run, **{**OPTIONS, **more})


def best_is(monkeypatch, epoch):
    monkeypatch.setattr(runs, "quality", lambda row: 1 - abs(row["epoch"] - epoch) / 10 if row else -math.inf)


@pytest.mark.parametrize("how", ["lost", "empty", "garbage", "head", "a row less", "another value"])
def test_the_log_comes_back_from_the_last_model_and_that_is_said(base, run, how):
    log, text = run / "log.csv", (run / "log.csv").read_bytes()
    lines = text.splitlines(keepends=True)
    log.unlink()
    if how != "lost":
        fewer, other = b"".join(lines[:2]), text.replace(b"0.", b"0.9", 1)
        kinds = {"empty": b"", "garbage": b"\xff\0\xfe" * 50, "head": lines[0], "a row less": fewer}
        log.write_bytes({**kinds, "another value": other}[how])
    with pytest.warns(InputWarning, match=r"log\.csv did not hold the rows of all epochs .* written anew from those"):
        assert again(base, run) == base[1]
    assert log.read_bytes() == text


def test_a_log_that_holds_more_is_no_damage(base, run):
    (run / "log.csv").write_text((run / "log.csv").read_text() + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        assert again(base, run) == base[1]


@pytest.mark.parametrize("how", ["gone", "cut", "empty"])
def test_a_best_model_that_is_that_of_the_last_epoch_comes_back(base, run, monkeypatch, how):
    best_is(monkeypatch, 3)
    weights = [one.numpy() for one in load_model(run / "last.keras").weights]
    damage(run / "best.keras", how)
    with pytest.warns(InputWarning, match=r"best\.keras, of epoch 3 .* is gone or damaged\. It was written anew"):
        again(base, run, overwrite=how != "gone")
    for own, wanted in zip(load_model(run / "best.keras").weights, weights, strict=True):
        np.testing.assert_array_equal(own.numpy(), wanted)


def damage(path, how):
    data = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(data[: 3000 if how == "cut" else 0])


def test_a_best_model_of_an_earlier_epoch_is_not_forgotten_in_silence(base, run, monkeypatch):
    best_is(monkeypatch, 2)
    shutil.rmtree(run)
    fit(model(), base[0] / "data", run, until=2, **OPTIONS)
    best_is(monkeypatch, 1)
    (run / "best.keras").unlink()
    with pytest.raises(InputError, match=r"best\.keras, of epoch 1 with an IoU of 1\.0000, is gone or damaged\. Put"):
        again(base, run)
    with pytest.warns(InputWarning, match=r"The best of the epochs to come takes its place\."):
        assert len(again(base, run, overwrite=True)) == 3
    kept = Run(run)
    kept.restore(model_of(base), 2)
    kept.secure(None, more=False)
    assert (kept.held["epoch"], kept.best_row()["epoch"]) == (3, 1)
    assert kept.summary().startswith("The best model, of epoch 3 with an IoU of ")
    (run / "best.keras").unlink()
    with pytest.warns(InputWarning, match=r"of epoch 1 .* is gone or damaged\. last\.keras holds the model"):
        assert len(again(base, run)) == 3


def model_of(base):
    made = model()
    prepare(made, Recipe(epochs=3, crop=16, batch_size=2, crops_per_epoch=4), 2)
    return made


@pytest.mark.parametrize("how", ["cut", "empty", "gone"])
def test_a_last_model_that_is_damaged_is_named(base, run, how):
    damage(run / "last.keras", how)
    before = contents(run)
    with pytest.raises(InputError, match=r"a run that cannot go on: last\.keras is gone or no longer what it was"):
        again(base, run)
    assert contents(run) == before


def test_a_last_model_of_another_network_of_the_same_shapes_is_told(base, run):
    build((None, None, 3), width=2, depth=1, activation="elu").save(run / "other.keras")
    other = load_model(run / "other.keras")
    prepare(other, Recipe(epochs=3, crop=16, batch_size=2, crops_per_epoch=4), 2)
    other.save(run / "last.keras")
    with pytest.raises(InputError, match=r"last\.keras is not what this run saved: its network is another\."):
        again(base, run)


def test_a_run_that_is_finished_says_so_and_where_its_best_model_is(base, run, capsys, monkeypatch):
    best_is(monkeypatch, 2)
    assert again(base, run, progress=True) == base[1]
    said = capsys.readouterr().err
    assert f"{run} is finished, after 3 epochs. The best model, of epoch " in said
    assert f" at L1, is {run / 'best.keras'}." in said
    again(base, run, progress=True, until=2)
    assert "is finished, after 3 epochs." in capsys.readouterr().err


def test_a_run_that_stopped_early_says_so(base, tmp_path, capsys):
    run, options = tmp_path / "run", {**OPTIONS, "epochs": 9, "patience": 1, "learning_rate": 1e-9}
    rows = fit(model(), base[0] / "data", run, **options)
    assert fit(model(), base[0] / "data", run, **{**options, "progress": True}) == rows
    assert f"it stopped after {len(rows)} of 9 epochs, since 1 epochs brought no better" in capsys.readouterr().err
    fit(model(), base[0] / "data", tmp_path / "other", until=1, **OPTIONS)
    fit(model(), base[0] / "data", tmp_path / "other", until=1, **{**OPTIONS, "progress": True})
    assert "has 1 of 3 epochs, up to the one that was asked for. The best model" in capsys.readouterr().err


def test_a_model_of_the_users_in_the_place_of_the_best_is_told_before_training(folder, tmp_path):
    run = tmp_path / "run"
    fit(model(), folder, run, until=1, **OPTIONS)
    (run / "best.keras").write_text("my model")
    with pytest.raises(InputError, match=r"best\.keras is there already, and this package did not write it, or it was"):
        fit(model(), folder, run, **OPTIONS)
    assert (run / "best.keras").read_text() == "my model"
    assert len(read_log(run / "log.csv")) == 1


def test_a_last_model_of_another_network_is_told(folder, tmp_path):
    run = tmp_path / "run"
    fit(model(), folder, run, until=1, **OPTIONS)
    other = build((None, None, 3), width=4, depth=1)
    other.save(run / "last.keras")
    before = contents(run)
    with pytest.raises(InputError, match=r"last\.keras is not what this run saved: its variables are others\."):
        fit(model(), folder, run, **OPTIONS)
    assert contents(run) == before


def test_links_lead_nothing_out_of_a_run(folder, tmp_path):
    run, private = tmp_path / "run", tmp_path / "private"
    fit(model(), folder, run, until=1, **OPTIONS)
    for name in ("log.csv", "last.keras", "best.keras"):
        (run / name).rename(tmp_path / name)
        private.write_bytes((tmp_path / name).read_bytes())
        (run / name).symlink_to(private)
        with pytest.raises(InputError, match="is there already, and this package did not write it"):
            fit(model(), folder, run, **OPTIONS)
        assert private.read_bytes() == (tmp_path / name).read_bytes()
        (run / name).unlink()
        (tmp_path / name).rename(run / name)


def test_modes_of_a_run_are_kept(folder, tmp_path):
    run = tmp_path / "run"
    fit(model(), folder, run, until=1, **OPTIONS)
    for name in ("log.csv", "last.keras"):
        (run / name).chmod(0o600)
    fit(model(), folder, run, until=2, **OPTIONS)
    assert {name: oct((run / name).stat().st_mode & 0o777) for name in ("log.csv", "last.keras")} == {
        "log.csv": "0o600",
        "last.keras": "0o600",
    }


def test_a_second_training_into_the_same_folder_is_refused(folder, tmp_path):
    import keras

    run, told = tmp_path / "run", []

    def second(epoch, logs):
        with pytest.raises(InputError, match=rf"run is in use: training by process {os.getpid()} on ") as error:
            fit(model(), folder, run, **OPTIONS)
        told.append(str(error.value))

    fit(model(), folder, run, until=1, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=second)], **OPTIONS)
    assert len(told) == 1
    assert len(fit(model(), folder, run, **OPTIONS)) == 3
