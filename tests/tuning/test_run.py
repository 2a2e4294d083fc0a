import json
import shutil
import time

import numpy as np
import pytest

import keras_unetpp as kup
from keras_unetpp import weights
from keras_unetpp.files import write_text
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.training.run import Run
from keras_unetpp.tuning import run as runs
from keras_unetpp.tuning import trial as trials
from keras_unetpp.tuning.outcome import Outcome, Scored

TINY = {"crop": 16, "batch_size": 4, "crops_per_epoch": 8, "epochs": 2, "learning_rate": 0.02, "progress": False}
BUDGET = kup.Budget(params=3_000, size=48)
ONE = {"depth": [1, 2], "shares": 1, "tuner": "grid", **TINY}


@pytest.fixture
def untrained(monkeypatch):
    """Trials that train nothing; their number is the length of the list."""
    ran = []

    def run_trial(folder, proposal, data, until, sides, **options):
        ran.append(folder.name)
        scored = tuple(Scored(level, 0.5, 0.6) for level in proposal.spec.levels)
        outcome = Outcome(folder.name, *proposal, until, until, scored)
        write_text(folder / "outcome.json", outcome.to_json())
        weights.save(kup.build(proposal.spec), folder / "weights.safetensors")
        return outcome

    monkeypatch.setattr(trials, "run_trial", run_trial)
    return ran


def test_a_killed_search_goes_on_and_its_result_needs_nothing_else(disk_folder, tmp_path, monkeypatch):
    record, count = Run.record, [0]

    def stop(self, model, row):
        record(self, model, row)
        count[0] += 1
        if count[0] == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "record", stop)
    with pytest.raises(KeyboardInterrupt):
        kup.search(disk_folder, tmp_path / "search", BUDGET, **{**ONE, "depth": 2})
    assert not kup.SearchResult.load(tmp_path / "search" / "result").outcomes
    result = kup.search(disk_folder, tmp_path / "search", BUDGET, **{**ONE, "depth": 2})
    assert count[0] == 2
    assert [(one.outcome.trial, one.level) for one in result.candidates] == [("00", 1), ("00", 2)]
    assert all(kup.cost(one.spec).params <= 3_000 for one in result.candidates)
    assert all(one.scored.latency > 0 for one in result.candidates)
    assert (tmp_path / "search" / "trials" / "00" / "tensorboard").is_dir()
    assert {path.name for path in (tmp_path / "search" / "result").iterdir()} >= {
        "result.json",
        "pareto.txt",
        "weights",
    }

    (tmp_path / "search" / "result").rename(tmp_path / "elsewhere")
    (tmp_path / "search").rename(tmp_path / "gone")
    best = kup.SearchResult.load(tmp_path / "elsewhere").best()
    model = best.model()
    assert kup.build(kup.Spec.from_json(best.spec.to_json())).count_params() == model.count_params()
    scores = kup.evaluate(model, disk_folder)
    assert np.mean([one.iou for one in scores if one.head == f"L{best.level}"]) == pytest.approx(best.iou, abs=1e-6)
    assert kup.prune(model, best.level).count_params() == best.cost.params


def test_failed_trials_have_their_reason_and_end_nothing(disk_folder, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError("no room for a tensor")

    monkeypatch.setattr(trials, "build", fail)
    result = kup.search(disk_folder, tmp_path / "search", BUDGET, max_trials=5, **{**ONE, "shares": 3})
    assert [one.failed for one in result.outcomes] == ["MemoryError: no room for a tensor"] * 5
    assert "trial 3 failed: MemoryError: no room" in str(result)
    with pytest.raises(InputError, match="no candidates: all trials failed"):
        result.best()


def test_a_loss_that_is_not_finite_is_a_failed_trial(disk_folder, tmp_path):
    settings = {**TINY, "depth": 1, "norm": "none", "width": 2, "repeat": 0}
    result = kup.search(disk_folder, tmp_path / "search", BUDGET, **{**settings, "learning_rate": 1e6, "epochs": 3})
    assert [one.failed.split(" in epoch")[0] for one in result.failed] == ["InputError: The loss is not finite"]


@pytest.mark.sweep
def test_hyperband_goes_on_from_the_lower_bracket(disk_folder, tmp_path):
    settings = {**TINY, "epochs": 3, "repeat": 0}
    result = kup.search(disk_folder, tmp_path / "search", BUDGET, tuner="hyperband", depth=[1, 2], **settings)
    first = [one for one in result.outcomes if one.epochs == 1]
    promoted = [json.loads(path.read_text()) for path in (tmp_path / "search" / "tuner").glob("*/trial.json")]
    promoted = [one for one in promoted if "tuner/trial_id" in one["hyperparameters"]["values"]]
    assert first
    assert promoted
    for one in promoted:
        logs = [(tmp_path / "search" / "trials" / name / "log.csv").read_text().splitlines()
                for name in (one["hyperparameters"]["values"]["tuner/trial_id"], one["trial_id"])]  # fmt: skip
        assert logs[1][: len(logs[0])][1].split(",")[:2] == logs[0][1].split(",")[:2]
        assert (len(logs[0]), len(logs[1])) == (2, 4)


def test_other_settings_in_the_same_folder_are_refused_more_trials_are_not(disk_folder, tmp_path, untrained):
    settings = {**ONE, "repeat": 0, "depth": [1], "shares": 2, "epochs": 1}
    assert len(kup.search(disk_folder, tmp_path, BUDGET, max_trials=1, **settings).outcomes) == 1
    assert len(kup.search(disk_folder, tmp_path, BUDGET, max_trials=2, **settings).outcomes) == 2
    assert untrained == ["0", "1"]
    with pytest.raises(
        InputError, match=r"holds a search with other settings: budget\.params was 3000\. Received: 4000"
    ):
        kup.search(disk_folder, tmp_path, kup.Budget(params=4000), **settings)
    with pytest.raises(InputError, match=r"axes\.depth was \[1\]\. Received: \[2\]"):
        kup.search(disk_folder, tmp_path, BUDGET, **{**settings, "depth": [2]})
    with pytest.raises(InputError, match=r"axes\.norm was None\. Received: \['batch', 'none'\]"):
        kup.search(disk_folder, tmp_path, BUDGET, **{**settings, "norm": ["batch", "none"]})
    with pytest.raises(InputError, match="tuner was grid"):
        kup.search(disk_folder, tmp_path, BUDGET, **{**settings, "tuner": "random"})


def test_other_data_in_the_same_folder_is_refused_unless_it_is_said(disk_folder, tmp_path, untrained):
    settings = {**ONE, "repeat": 0, "depth": [1], "shares": 2, "epochs": 1}
    out, space = tmp_path / "search", tmp_path / "search" / "space.json"
    kup.search(disk_folder, out, BUDGET, max_trials=1, **settings)
    shutil.copytree(disk_folder, tmp_path / "copy")
    assert len(kup.search(tmp_path / "copy", out, BUDGET, max_trials=1, **settings).outcomes) == 1
    for name in ("images", "masks"):
        (disk_folder / name / "5.png").unlink()
    before = space.read_bytes()
    for data in (disk_folder, kup.read_folder(disk_folder)):
        with pytest.raises(InputError, match=r"search was made with other data: 1 removed \(5\)\. .*--data-changed"):
            kup.search(data, out, BUDGET, max_trials=2, **settings)
    assert space.read_bytes() == before
    assert untrained == ["0"]
    assert len(kup.search(disk_folder, out, BUDGET, max_trials=2, data_changed=True, **settings).outcomes) == 2
    assert len(kup.search(disk_folder, out, BUDGET, max_trials=2, **settings).outcomes) == 2


def test_a_search_of_version_0_1_goes_on_and_learns_what_its_data_is(disk_folder, tmp_path, untrained):
    settings = {**ONE, "repeat": 0, "depth": [1], "shares": 2, "epochs": 1}
    kup.search(disk_folder, tmp_path, BUDGET, max_trials=1, **settings)
    space = json.loads((tmp_path / "space.json").read_text())
    noted = space.pop("data")
    (tmp_path / "space.json").write_text(json.dumps(space))
    with pytest.warns(InputWarning, match="does not say with what data"):
        kup.search(disk_folder, tmp_path, BUDGET, max_trials=2, **settings)
    assert json.loads((tmp_path / "space.json").read_text())["data"] == noted


def test_odd_data_is_told_once_for_all_trials(disk_folder, tmp_path):
    shutil.copy(disk_folder / "masks" / "0.png", disk_folder / "masks" / "alone.png")
    settings = {**ONE, "repeat": 0, "depth": [1], "shares": 2, "epochs": 1}
    with pytest.warns(InputWarning, match="masks without an image") as seen:
        result = kup.search(disk_folder, tmp_path / "search", BUDGET, max_trials=2, **settings)
    assert len([one for one in seen if issubclass(one.category, InputWarning)]) == 1
    assert [one.failed for one in result.outcomes] == ["", ""]


def test_options_of_the_data_folder_and_lists_of_crop_sides(disk_folder, tmp_path):
    (disk_folder / "masks").rename(disk_folder / "labels")
    settings = {**ONE, "repeat": 0, "depth": [1], "epochs": 1, "crop": [(8, 16), 16], "masks": "labels"}
    result = kup.search(disk_folder, tmp_path / "search", BUDGET, max_trials=2, **settings)
    assert [one.failed for one in result.outcomes] == ["", ""]
    assert sorted(str(one.recipe.crop) for one in result.outcomes) == ["(8, 16)", "16"]
    assert len(kup.search(disk_folder, tmp_path / "search", BUDGET, max_trials=2, **settings).outcomes) == 2


def test_a_process_that_dies_again_and_again_gives_its_trial_up(disk_folder, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*arguments, **options):
        raise Killed

    monkeypatch.setattr(trials, "build", die)
    for _ in range(trials.ATTEMPTS):
        with pytest.raises(Killed):
            kup.search(disk_folder, tmp_path, BUDGET, max_trials=1, **ONE)
    result = kup.search(disk_folder, tmp_path, BUDGET, max_trials=1, **ONE)
    assert result.failed[0].failed.startswith("InputError: The process died 3 times within one epoch")


def test_a_trial_that_another_worker_took_over_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "BEAT", 0.01)
    beats = []
    with trials._owned(tmp_path, lambda: beats.append(1)) as check:
        check()
        (tmp_path / "owner").write_text("another")
        while len(beats) < 3:
            time.sleep(0.01)
        with pytest.raises(trials.Abandoned):
            check()


def test_a_budget_of_latency_is_decided_by_measuring_and_only_once(disk_folder, tmp_path, monkeypatch, untrained):
    measured = []

    def measure(spec, sides):
        measured.append(spec)
        assert sides == (48, 48)
        return 2.0 * spec.filters[0] + spec.depth

    monkeypatch.setattr("keras_unetpp.tuning.latency.measure", measure)
    settings = {**ONE, "depth": [1, 3], "shares": 3, "norm": ["none", "batch"]}
    result = kup.search(disk_folder, tmp_path, kup.Budget(latency=11.0, size=48), **settings)
    assert len(result.outcomes) == 12
    assert max(2.0 * one.spec.filters[0] + one.spec.depth for one in result.outcomes) <= 11.0
    assert {one.spec.filters[0] for one in result.outcomes if one.spec.depth == 1} == {5, 4, 2}
    assert len(measured) == len(set(measured))
    before = len(measured)
    kup.search(disk_folder, tmp_path, kup.Budget(latency=11.0, size=48), **settings)
    assert len(measured) == before


def test_measured_latency_is_kept(tmp_path):
    latency = runs.Latency(kup.Budget(latency=1e4, size=16), tmp_path / "latency.json")
    spec = kup.Spec(depth=1, width=2)
    taken = latency(spec)
    assert taken > 0
    assert runs.Latency(latency.budget, latency.path).known[next(iter(latency.known))] == taken


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_trials": 0}, r"max_trials must be a whole number of at least 1\. Received: 0"),
        ({"max_minutes": -1}, r"max_minutes must be a positive number\. Received: -1"),
        ({"repeat": -1}, r"repeat must be a whole number"),
        ({"tuner": "hyperband", "epochs": [1, 2]}, "Hyperband chooses the epochs itself"),
        ({"input_shape": 64}, r"Spec\.input_shape must be a tuple or list\. Received: 64"),
        ({"depht": [1, 2]}, r"Did you mean 'depth'\?"),
    ],
)
def test_settings_that_cannot_work_are_told_before_anything_is_written(disk_folder, tmp_path, options, text):
    with pytest.raises(InputError, match=text):
        kup.search(disk_folder, tmp_path / "search", BUDGET, **{**TINY, **options})
    assert not (tmp_path / "search").exists()


def test_an_empty_folder_and_an_empty_space_are_told(disk_folder, tmp_path):
    with pytest.raises(InputError):
        kup.search(tmp_path / "nothing", tmp_path / "search", BUDGET)
    with pytest.raises(InputError, match="The smallest that would do: params="):
        kup.search(disk_folder, tmp_path / "search", kup.Budget(params=10))
    assert not (tmp_path / "search" / "space.json").exists()


def test_an_outcome_both_ways():
    outcome = Outcome("3", kup.Spec(depth=1), kup.Recipe(), 5, failed="no room")
    assert Outcome.from_dict(json.loads(outcome.to_json())) == outcome


def test_a_search_that_an_earlier_version_began_goes_on_with_its_constant(disk_folder, tmp_path, untrained):
    root, options = tmp_path / "search", {**ONE, "normalization": "standardize"}
    kup.search(disk_folder, root, BUDGET, max_trials=1, **options)
    path = root / "space.json"
    space = json.loads(path.read_text())
    del space["spec"]["standardize_epsilon"]
    path.write_text(json.dumps(space))
    result = kup.search(disk_folder, root, BUDGET, max_trials=2, **options)
    assert [one.spec.standardize_epsilon for one in result.outcomes] == [1e-5, 0.1]
    with pytest.raises(InputError, match=r"other settings: spec\.standardize_epsilon was 0\.1\. Received: 0\.001\."):
        kup.search(disk_folder, root, BUDGET, max_trials=2, standardize_epsilon=1e-3, **options)
    searched = {**options, "normalization": ["rescale", "standardize"]}
    kup.search(disk_folder, tmp_path / "other", BUDGET, max_trials=2, **searched)
    (tmp_path / "other" / "space.json").write_text(
        (tmp_path / "other" / "space.json").read_text().replace('"standardize_epsilon": 1e-05,', "")
    )
    kup.search(disk_folder, tmp_path / "other", BUDGET, max_trials=2, **searched)


def test_one_oracle_serves_two_searches_and_what_it_prints_is_seen(disk_folder, tmp_path, untrained, capsys):
    import keras_tuner

    class Told(keras_tuner.oracles.GridSearchOracle):
        def populate_space(self, trial_id):
            print("drawing", trial_id)
            return super().populate_space(trial_id)

    own = Told(keras_tuner.Objective("val_iou", "max"), max_trials=2)
    settings = {**ONE, "tuner": own, "repeat": 0, "epochs": 1}
    results = [kup.search(disk_folder, tmp_path / name, BUDGET, **settings) for name in "aba"]
    assert [len(result.outcomes) for result in results] == [2, 2, 2]
    assert type(own) is Told
    assert own.trials == {}
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("drawing")] == ["drawing 0", "drawing 1"] * 2
    assert len(told) == 4


def test_what_a_trial_prints_is_seen(disk_folder, tmp_path, monkeypatch, capsys):
    def run_trial(*arguments, **options):
        print("a callback speaks")
        raise MemoryError

    monkeypatch.setattr(trials, "run_trial", run_trial)
    kup.search(disk_folder, tmp_path, BUDGET, **{**ONE, "depth": 1})
    assert capsys.readouterr().out == "a callback speaks\n"


def test_a_space_is_never_changed(disk_folder, tmp_path, untrained, monkeypatch):
    decided, real = [], runs.offers

    def offers(space, measure):
        decided.append((space, space.to_dict()))
        return real(space, measure)

    monkeypatch.setattr(runs, "offers", offers)
    kup.search(disk_folder, tmp_path, BUDGET, **{**ONE, "repeat": 0, "epochs": 1})
    ((space, before),) = decided
    assert space.to_dict() == before
    assert before["offers"] == []
    assert json.loads((tmp_path / "space.json").read_text())["offers"]
    space.settings()["spec"]["classes"] = 7
    assert space.to_dict() == before
