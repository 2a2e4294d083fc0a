import itertools
import json
import threading

import pytest
from sampling import sampled

from keras_unetpp.kit.errors import InputError
from keras_unetpp.tuning import oracle as oracles
from keras_unetpp.tuning.budget import Budget
from keras_unetpp.tuning.outcome import Outcome
from keras_unetpp.tuning.space import Space
from keras_unetpp.tuning.workers import work

TUNERS = ("random", "bayesian", "hyperband", "grid")


def space(**axes):
    return Space.create(Budget(params=20_000), {"depth": [1, 2], "norm": ["none", "batch"], **axes}, shares=2)


@pytest.mark.parametrize("tuner", TUNERS)
def test_the_same_seed_gives_the_same_trials(fake, tmp_path, tuner):
    drawn = []
    for number, seed in enumerate((3, 3, 4)):
        one = fake(tmp_path / str(number), tuner, max_trials=10, seed=seed)
        work(one.oracle, "tuner0", one.run)
        drawn.append(one.drawn())
        assert all(one.space.budget.fits(one.hypermodel.proposal(trial.hyperparameters).spec)
                   for trial in one.oracle.trials.values())  # fmt: skip
    assert drawn[0] == drawn[1]
    assert (drawn[0] == drawn[2]) == (tuner == "grid")


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid"])
def test_no_candidate_is_tried_twice_and_a_small_space_is_tried_out(fake, tmp_path, tuner):
    one = fake(tmp_path, tuner, max_trials=100, space=space())
    work(one.oracle, "tuner0", one.run)
    proposals = [one.hypermodel.proposal(trial.hyperparameters) for trial in one.oracle.trials.values()]
    assert set(proposals) == set(one.space.proposals())
    assert len(proposals) == len(one.space)


def test_what_the_gaussian_process_proposes_keeps_the_budget_and_is_new(fake, tmp_path):
    import keras_tuner

    own = keras_tuner.oracles.BayesianOptimizationOracle(
        keras_tuner.Objective("val_iou", "max"), max_trials=5, num_initial_points=3, seed=1
    )
    one = fake(tmp_path, own)
    assert any(branch.conditions for branch in one.space.branches())
    work(one.oracle, "tuner0", one.run)
    proposals = [one.hypermodel.proposal(trial.hyperparameters) for trial in one.oracle.trials.values()]
    assert len(set(proposals)) == len(proposals) == 5
    assert all(one.space.budget.fits(proposal.spec) for proposal in proposals)


class Killed(BaseException):
    """Stands for a process that ends at once."""


@pytest.mark.parametrize("tuner", sampled(["random", "hyperband", "grid"], ["grid"]))
def test_killed_before_any_write_a_search_goes_on_as_if_it_had_not_been(fake, tmp_path, tuner, monkeypatch):
    straight = fake(tmp_path / "straight", tuner, max_trials=5, space=space())
    work(straight.oracle, "tuner0", straight.run)
    real = oracles.write_text
    for life in itertools.count(1):
        left = [life]

        def write(path, text, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            real(path, text)

        folder, finished, lives = tmp_path / str(life), [], 0
        monkeypatch.setattr(oracles, "write_text", write)
        while True:
            lives += 1
            try:
                one = fake(folder, tuner, max_trials=5, space=space())
                ended = {name for name, trial in one.oracle.trials.items() if trial.status == "COMPLETED"}
                assert ended >= set(finished)
                work(one.oracle, "tuner0", one.run)
                break
            except Killed:
                left[0] = 10**6 if lives > 1 else life
                finished = [path.parent.name.removeprefix("trial_") for path in folder.glob("tuner/*/trial.json")
                            if json.loads(path.read_text())["status"] == "COMPLETED"]  # fmt: skip
        assert one.drawn() == straight.drawn()
        assert not set(finished) & set(one.ran)
        if lives == 1:
            break
    assert life > 10


def test_failed_trials_are_counted_and_end_nothing(fake, tmp_path):
    one = fake(tmp_path, "random", max_trials=8)

    def run(trial):
        spec, recipe = one.hypermodel.proposal(trial.hyperparameters)
        return Outcome(trial.trial_id, spec, recipe, 4, failed="out of memory")

    work(one.oracle, "tuner0", run)
    assert [trial.status for trial in one.oracle.trials.values()] == ["FAILED"] * 8
    assert one.oracle.trials["0"].message == "out of memory"


def test_a_worker_keeps_its_trial_until_it_is_silent_too_long(fake, tmp_path):
    one = fake(tmp_path, "random", max_trials=3, silence=100.0)
    oracle = one.oracle
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    assert oracle.create_trial("a").trial_id == first.trial_id
    third = oracle.create_trial("c")
    assert oracle.create_trial("d").status == "IDLE"
    oracle.heard["a"] -= 200
    oracle.get_trial(second.trial_id)
    taken = oracle.create_trial("d")
    assert taken.trial_id == first.trial_id
    assert oracle.create_trial("a").status == "IDLE"
    for trial in (second, third, taken):
        trial.status = "COMPLETED"
        oracle.update_trial(trial.trial_id, {"val_iou": 0.5})
        oracle.end_trial(trial)
    for name in "bcd":
        assert not oracle.finished()
        assert oracle.create_trial(name).status == "STOPPED"
    oracle.heard["a"] -= 200
    assert oracle.finished()


def test_a_restarted_chief_leaves_trials_with_their_workers(fake, tmp_path):
    oracle = fake(tmp_path, "random", silence=100.0).oracle
    first = oracle.create_trial("a")
    again = fake(tmp_path, "random", silence=100.0).oracle
    assert again.create_trial("b").trial_id != first.trial_id
    assert again.create_trial("a").trial_id == first.trial_id
    alone = fake(tmp_path, "random").oracle
    assert alone.create_trial("tuner0").trial_id in (first.trial_id, "1")


def test_no_trial_begins_after_the_deadline(fake, tmp_path):
    one = fake(tmp_path, "random", silence=100.0)
    one.oracle.create_trial("a")
    one.oracle.deadline = 0.0
    assert one.oracle.create_trial("a").status == "RUNNING"
    assert one.oracle.create_trial("b").status == "STOPPED"


@pytest.fixture
def own():
    """An oracle of the caller's."""
    import keras_tuner

    return keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("val_iou", "max"), max_trials=3, seed=5)


def test_the_callers_own_oracle_stays_as_it_is_and_serves_again(fake, own, tmp_path):
    kind, before = type(own), own.get_state()
    searches = [fake(tmp_path / name, own) for name in "ab"]
    for one in searches:
        assert isinstance(one.oracle, oracles.Durable)
        assert isinstance(one.oracle, kind)
        assert one.oracle.max_trials == 3
        work(one.oracle, "tuner0", one.run)
    assert searches[0].drawn() == searches[1].drawn()
    assert len(searches[0].drawn()) == 3
    assert type(own) is kind
    assert own.get_state() == before
    assert own.trials == {}
    assert (own.verbose, own.max_consecutive_failed_trials) == (1, 3)
    again = fake(tmp_path / "a", own)
    assert again.drawn() == searches[0].drawn()


def test_an_oracle_that_cannot_serve_is_told(fake, own, tmp_path):
    one = fake(tmp_path, own)
    work(one.oracle, "tuner0", one.run)
    with pytest.raises(InputError, match=r"must have no trials yet\. Received: a DurableRandomSearchOracle with 3\."):
        oracles.make_oracle(one.oracle, 1, 1, 0)
    own.lock = threading.Lock()
    with pytest.raises(InputError, match=r"RandomSearchOracle cannot be copied \(TypeError: .*lock.*copy\.deepcopy"):
        oracles.make_oracle(own, 1, 1, 0)


def test_an_unknown_tuner_and_a_missing_package_are_told(monkeypatch):
    with pytest.raises(InputError, match=r"tuner must be one of random, .* Did you mean 'random'\?"):
        oracles.make_oracle("randon", 1, 1, 0)
    import importlib.util

    monkeypatch.setattr("keras_unetpp.kit.requirements.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs keras_tuner\. Install: pip install 'keras-unetpp\[search\]'"):
        oracles.make_oracle("random", 1, 1, 0)
    assert importlib.util.find_spec("keras_tuner")
