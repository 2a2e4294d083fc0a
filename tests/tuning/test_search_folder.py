"""What a search does to the folder that it is told to write to, and names in its files that lead elsewhere."""

import json
import shutil
from pathlib import Path

import pytest
from pictures import disks

import keras_unetpp as kup
from keras_unetpp.files import RECORD, FolderLock
from keras_unetpp.kit.errors import InputError

OPTIONS = {"tuner": "grid", "depth": [1], "shares": 1, "epochs": 1, "crop": 16, "batch_size": 2, "repeat": 0,
           "crops_per_epoch": 2, "progress": False, "max_trials": 1}  # fmt: skip
BUDGET = kup.Budget(params=3000, size=24)


@pytest.fixture
def folder(tmp_path):
    return disks(tmp_path / "data", 4, 24)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished search, and its data."""
    root = tmp_path_factory.mktemp("made")
    kup.search(disks(root / "data", 4, 24), root / "s", BUDGET, **OPTIONS)
    return root


@pytest.fixture
def searched(made, tmp_path):
    shutil.copytree(made / "s", tmp_path / "s")
    return tmp_path / "s"


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def without_records(root):
    return {name: data for name, data in contents(root).items() if Path(name).name != RECORD}


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("name", ["space.json", "latency.json", "result/result.json", "result/pareto.txt",
                                  "result/weights/0.safetensors", "trials/0/best.keras", "trials/7/outcome.json",
                                  "tuner/oracle.json", "tuner/trial_0/trial.json"])  # fmt: skip
def test_what_is_not_ours_is_left_alone(folder, tmp_path, name):
    root = tmp_path / "s"
    (root / name).parent.mkdir(parents=True)
    (root / name).write_text("{}")
    with pytest.raises((InputError, KeyError)):  # a search that is none, or files in the way
        kup.search(folder, root, BUDGET, **OPTIONS)
    assert contents(root) == {name: b"{}"}


def test_files_of_the_result_are_replaced_if_that_is_said(folder, tmp_path):
    (tmp_path / "s" / "result").mkdir(parents=True)
    (tmp_path / "s" / "result" / "pareto.txt").write_text("mine")
    (tmp_path / "s" / "trials" / "0").mkdir(parents=True)
    (tmp_path / "s" / "trials" / "0" / "notes").write_text("mine")
    with pytest.raises(InputError, match=r"pareto\.txt is there already, and this package did not write it"):
        kup.search(folder, tmp_path / "s", BUDGET, **OPTIONS)
    kup.search(folder, tmp_path / "s", BUDGET, overwrite=True, **OPTIONS)
    assert "levels of 1 trials" in (tmp_path / "s" / "result" / "pareto.txt").read_text()
    assert (tmp_path / "s" / "trials" / "0" / "notes").read_text() == "mine"


def test_trials_of_a_search_that_is_gone_are_no_part_of_another(folder, searched):
    (searched / "space.json").unlink()
    before = without_records(searched)
    with pytest.raises(InputError, match=r"s holds tuner/oracle\.json, as of a search, but no space\.json that says"):
        kup.search(folder, searched, BUDGET, **{**OPTIONS, "depth": [2]})
    assert without_records(searched) == before


def test_a_result_that_somebody_changed_is_told_before_the_search_goes_on(folder, searched):
    (searched / "result" / "pareto.txt").write_text("my notes")
    with pytest.raises(InputError, match=r"pareto\.txt is there already"):
        kup.search(folder, searched, BUDGET, **OPTIONS)
    assert (searched / "result" / "pareto.txt").read_text() == "my notes"


def test_a_second_search_into_the_same_folder_is_refused(folder, tmp_path):
    with FolderLock(tmp_path / "s", "search"), pytest.raises(InputError, match=r"s is in use: search by process"):
        kup.search(folder, tmp_path / "s", BUDGET, **OPTIONS)


@pytest.mark.parametrize("earlier", [None, "0"])
@pytest.mark.parametrize("name", ["../../victim", "/tmp/victim", "..", "0/../../../victim", "a"])
def test_an_id_of_a_trial_leads_nowhere_else(folder, searched, tmp_path, name, earlier):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "thesis.txt").write_text("years of work")
    trial = searched / "tuner" / "trial_0" / "trial.json"
    values = json.loads(trial.read_text())["hyperparameters"]
    values["values"] |= {"tuner/trial_id": earlier} if earlier else {}
    change(trial, trial_id=name, status="RUNNING", score=None, hyperparameters=values)
    change(searched / "tuner" / "oracle.json", start_order=[name], end_order=[], run_times={})
    before = without_records(tmp_path)
    with pytest.raises(InputError, match=r"a trial.s id is of digits, received "):
        kup.search(folder, searched, BUDGET, **OPTIONS)
    assert without_records(tmp_path) == before


@pytest.mark.parametrize("name", ["../../victim", "/tmp", "..", 5, None])
def test_an_earlier_trial_leads_nowhere_else(folder, searched, tmp_path, name):
    trial = searched / "tuner" / "trial_0" / "trial.json"
    values = json.loads(trial.read_text())["hyperparameters"]
    values["values"]["tuner/trial_id"] = name
    change(trial, status="RUNNING", score=None, hyperparameters=values)
    change(searched / "tuner" / "oracle.json", end_order=[], run_times={})
    for path in (searched / "trials" / "0").iterdir():
        path.unlink() if path.is_file() else None
    if name in (5, None):
        kup.search(folder, searched, BUDGET, **OPTIONS)
        return
    with pytest.raises(InputError, match=r"A name like trials/\[0-9\]\+ is required, within "):
        kup.search(folder, searched, BUDGET, **OPTIONS)


@pytest.mark.parametrize("name", ["trials", "result", "tuner", "trials/0", "space.json"])
def test_a_link_leads_nowhere_else(folder, searched, tmp_path, name):
    target = tmp_path / "elsewhere"
    (searched / name).rename(target)
    (searched / name).symlink_to(target)
    before = target.read_bytes() if target.is_file() else contents(target)
    trial = searched / "tuner" / "trial_0" / "trial.json"
    change(trial, status="RUNNING", score=None)
    before = contents(target) if name == "tuner" else before
    change(searched / "tuner" / "oracle.json", end_order=[], run_times={})
    before = contents(target) if name == "tuner" else before
    with pytest.raises(InputError, match="leads out of"):
        kup.search(folder, searched, BUDGET, **OPTIONS)
    assert (target.read_bytes() if target.is_file() else contents(target)) == before


@pytest.mark.parametrize(
    ("trial", "weights"),
    [("../../outside/pwned", "../id_rsa"), ("0", "../id_rsa"), ("0", "/etc/passwd"), ("0", "weights/link"), ("x", "w")],
)
def test_a_result_copies_nothing_of_elsewhere(searched, tmp_path, trial, weights):
    (tmp_path / "s" / "id_rsa").write_text("PRIVATE KEY")
    path = searched / "result" / "result.json"
    (searched / "result" / "weights" / "link").symlink_to(tmp_path / "s" / "id_rsa")
    values = json.loads(path.read_text())
    values["trials"][0] |= {"trial": trial, "weights": weights}
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"leads out of .*result|a trial.s id is of digits"):
        kup.SearchResult.load(searched / "result").save(tmp_path / "copy" / "x")
    assert not (tmp_path / "copy").exists()


def test_a_result_replaces_only_its_own(searched, tmp_path):
    result = kup.SearchResult.load(searched / "result")
    for name in ("result.json", "weights/0.safetensors"):
        copy = tmp_path / name.replace("/", "_")
        (copy / name).parent.mkdir(parents=True)
        (copy / name).write_text("mine")
        with pytest.raises(InputError, match="is there already, and this package did not write it"):
            result.save(copy)
        assert contents(copy) == {name: b"mine"}
        result.save(copy, overwrite=True)
        result.save(copy)
    (tmp_path / "p.png").write_text("mine")
    with pytest.raises(InputError, match=r"p\.png is there already"):
        result.plot(tmp_path / "p.png")
