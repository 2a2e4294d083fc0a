"""Files of searches, results, runs and zoos that are broken, or say what cannot be: one line each, no traceback."""

import json
import shutil

import pytest
from pictures import disks

import keras_unetpp as kup
from keras_unetpp.kit.errors import InputError
from keras_unetpp.training.fit import fit
from keras_unetpp.tuning.result import SearchResult

OPTIONS = {"tuner": "grid", "depth": [1], "shares": 1, "epochs": 1, "crop": 16, "batch_size": 2, "repeat": 0,
           "crops_per_epoch": 2, "progress": False, "max_trials": 1}  # fmt: skip
BUDGET = kup.Budget(params=3000, size=24)
RUN = {"epochs": 2, "crop": 16, "batch_size": 2, "progress": False}
BROKEN = {
    "empty": b"",
    "cut off": b'{"a": [1',
    "nested": b"[" * 100_000,
    "list": b"[1]",
    "object": b"{}",
    "latin": b'{"\xe9": 1}',
    "huge": b'{"format": ' + b"9" * 5000 + b"}",
    "nan": b'{"format": NaN}',
}
SENT = ("space.json", "tuner/oracle.json", "tuner/trial_0/trial.json", "trials/0/outcome.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished search, a run of one epoch, and their data."""
    root = tmp_path_factory.mktemp("made")
    kup.search(disks(root / "data", 4, 24), root / "s", BUDGET, **OPTIONS)
    fit(kup.build((None, None, 3), width=2, depth=1), root / "data", root / "run", until=1, **RUN)
    return root


def again(made, folder):
    return kup.search(made / "data", folder, BUDGET, **{**OPTIONS, "max_trials": 2})


def one_line(caught, name):
    text = str(caught.value)
    assert name in text
    assert "\n" not in text
    assert len(text) < 1000


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("name", SENT)
def test_a_search_with_a_broken_file(made, tmp_path, name, kind):
    shutil.copytree(made / "s", tmp_path / "s")
    (tmp_path / "s" / name).write_bytes(BROKEN[kind])
    with pytest.raises(InputError) as caught:
        again(made, tmp_path / "s")
    one_line(caught, name.rpartition("/")[2])


@pytest.mark.parametrize(
    ("name", "where", "value"),
    [
        ("space.json", ["offers"], []),
        ("space.json", ["offers"], [[[], {"1": "2"}]]),
        ("space.json", ["offers"], [[["x", "y"], {"1": 2}]]),
        ("space.json", ["axes"], {"depth": 1}),
        ("space.json", ["spec"], 5),
        ("space.json", ["shares"], 10**9),
        ("tuner/oracle.json", ["start_order"], ["../0"]),
        ("tuner/oracle.json", ["start_order"], ["7"]),
        ("tuner/oracle.json", ["start_order"], 5),
        ("tuner/oracle.json", ["hyperparameters"], {"space": [{"class_name": "x"}], "values": {}}),
        ("tuner/trial_0/trial.json", ["status"], "DONE"),
        ("tuner/trial_0/trial.json", ["trial_id"], "3"),
        ("tuner/trial_0/trial.json", ["metrics"], {"metrics": 5}),
        ("trials/0/outcome.json", ["levels"], [{"level": 4, "iou": 0.5, "dice": 0.5}]),
        ("trials/0/outcome.json", ["levels"], [{"level": 1, "iou": 7, "dice": 0.5}]),
        ("trials/0/outcome.json", ["spec", "depth"], 10**9),
        ("trials/0/outcome.json", ["recipe", "epochs"], "x"),
        ("trials/0/outcome.json", ["epochs"], -1),
    ],
)
def test_a_search_that_says_what_cannot_be(made, tmp_path, name, where, value):
    shutil.copytree(made / "s", tmp_path / "s")
    path = tmp_path / "s" / name
    whole = part = json.loads(path.read_text())
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    path.write_text(json.dumps(whole))
    with pytest.raises(InputError) as caught:
        again(made, tmp_path / "s")
    one_line(caught, "tuner" if name.startswith("tuner") else name.rpartition("/")[2])


def test_a_width_that_breaks_the_budget_is_not_trained(made, tmp_path):
    shutil.copytree(made / "s", tmp_path / "s")
    path = tmp_path / "s" / "space.json"
    space = json.loads(path.read_text())
    space["offers"] = [[one, {share: 4000 for share in widths}] for one, widths in space["offers"]]
    path.write_text(json.dumps(space))
    text = r"space\.json .* Width 4000 is on offer, and breaks the budget: params=.* of 3,000"
    with pytest.raises(InputError, match=text):
        again(made, tmp_path / "s")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_result(made, tmp_path, kind):
    shutil.copytree(made / "s" / "result", tmp_path / "r")
    (tmp_path / "r" / "result.json").write_bytes(BROKEN[kind])
    with pytest.raises(InputError) as caught:
        SearchResult.load(tmp_path / "r")
    one_line(caught, "result.json")


@pytest.mark.parametrize(
    "values",
    [
        {"format": "x"},
        {"format": 99},
        {"budget": {"params": "many"}},
        {"trials": [{}]},
        {"trials": {}},
        {"budget": {"size": 5.5}},
    ],
)
def test_a_result_that_says_what_cannot_be(made, tmp_path, values):
    shutil.copytree(made / "s" / "result", tmp_path / "r")
    path = tmp_path / "r" / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    with pytest.raises(InputError) as caught:
        SearchResult.load(tmp_path / "r")
    one_line(caught, "result.json")


def go_on(made, run):
    return fit(kup.build((None, None, 3), width=2, depth=1), made / "data", run, **RUN)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_run_with_a_broken_description(made, tmp_path, kind):
    shutil.copytree(made / "run", tmp_path / "run")
    (tmp_path / "run" / "run.json").write_bytes(BROKEN[kind])
    with pytest.raises(InputError) as caught:
        go_on(made, tmp_path / "run")
    one_line(caught, "run.json")


@pytest.mark.parametrize(
    "values", [{"spec": {"depth": "x"}}, {"recipe": {"epochs": None}}, {"data": 5}, {"spec": {"no": 1}}]
)
def test_a_run_that_says_what_cannot_be(made, tmp_path, values):
    shutil.copytree(made / "run", tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    with pytest.raises(InputError) as caught:
        go_on(made, tmp_path / "run")
    one_line(caught, "run.json")


def test_a_run_whose_last_model_is_another_one(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run")
    kup.build((None, None, 3), width=4, depth=1).save(tmp_path / "run" / "last.keras")
    with pytest.raises(InputError) as caught:
        go_on(made, tmp_path / "run")
    one_line(caught, "last.keras")


def zoo(root, **changes):
    row = {"folder": "e", "summary": "s", "licence": "l", "best_level": 1, "val_iou": 0.5}
    row["sha256"] = dict.fromkeys(("spec.json", "weights.safetensors", "card.md"), "0" * 64)
    (root / "manifest.json").write_text(json.dumps({"x": {**row, **changes}}))
    return root


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": {}},
        {"sha256": [1]},
        {"folder": 5},
        {"best_level": "1"},
        {"val_iou": 7},
        {"sha256": {"spec.json": "x"}},
    ],
)
def test_a_zoo_that_says_what_cannot_be(tmp_path, changes):
    with pytest.raises(InputError) as caught:
        kup.zoo.list(zoo(tmp_path, **changes))
    one_line(caught, "manifest.json")


@pytest.mark.parametrize("kind", [one for one in BROKEN if one != "object"])
def test_a_broken_zoo(tmp_path, kind):
    (tmp_path / "manifest.json").write_bytes(BROKEN[kind])
    with pytest.raises(InputError) as caught:
        kup.zoo.list(tmp_path)
    one_line(caught, "manifest.json")


def test_a_zoo_of_a_later_version_is_read(tmp_path):
    (entry,) = kup.zoo.list(zoo(tmp_path, more=[1]))
    assert entry.name == "x"
