"""What a training does to the folder that it is told to write to."""

import os

import pytest
from pictures import disks

from keras_unetpp.errors import InputError
from keras_unetpp.files import RECORD
from keras_unetpp.graph.build import build
from keras_unetpp.training import run as runs
from keras_unetpp.training.fit import fit
from keras_unetpp.training.run import read_log

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


@pytest.mark.parametrize("gone", ["last.keras", "run.json"])
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


@pytest.mark.parametrize("killed_at", ["best.keras", "last.keras"])
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


@pytest.mark.parametrize("how", ["lost", "cut short", "edited"])
def test_the_log_comes_back_from_the_last_model(folder, tmp_path, monkeypatch, how):
    run = tmp_path / "run"
    rows = fit(model(), folder, run, until=2, **OPTIONS)
    best = (run / "best.keras").read_bytes()
    if how == "lost":
        (run / "log.csv").unlink()
    else:
        (run / "log.csv").write_text("epoch,loss\n" if how == "cut short" else (run / "log.csv").read_text() + "\n")
    monkeypatch.setattr(runs, "quality", lambda row: row["epoch"] == 1)  # no later epoch is better
    assert fit(model(), folder, run, **OPTIONS)[:2] == rows
    assert read_log(run / "log.csv")[:2] == rows
    assert (run / "best.keras").read_bytes() == best


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
