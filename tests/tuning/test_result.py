import json
import re

import pytest

from keras_unetpp import weights
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import Spec, cost
from keras_unetpp.tuning.budget import Budget
from keras_unetpp.tuning.outcome import Outcome, Scored
from keras_unetpp.tuning.result import SearchResult, collect

HEADINGS = ("depth", "width", "parameters", "MACs", "weights", "latency", "IoU", "Dice")
# IoU and milliseconds of each level of each trial
SCORES = {
    "0": (Spec(width=4, depth=2), ((0.60, 3.0), (0.70, 5.0))),
    "1": (Spec(width=8, depth=1), ((0.65, 2.0),)),
    "2": (Spec(width=2, depth=3), ((0.50, 4.0), (0.66, 6.0), (0.64, 8.0))),
}


@pytest.fixture
def result(tmp_path):
    for trial, (spec, levels) in SCORES.items():
        folder = tmp_path / "trials" / trial
        scored = tuple(Scored(level, iou, iou + 0.1, taken) for level, (iou, taken) in enumerate(levels, 1))
        folder.mkdir(parents=True)
        (folder / "outcome.json").write_text(Outcome(trial, spec, Recipe(), 3, 2, scored).to_json())
        weights.save(build(spec), folder / "weights.safetensors")
    (tmp_path / "trials" / "10").mkdir()
    failed = Outcome("10", Spec(width=3), Recipe(), 3, failed="InputError: The loss is not finite")
    (tmp_path / "trials" / "10" / "outcome.json").write_text(failed.to_json())
    return collect(tmp_path / "trials", Budget(params=10**6, size=64))


def named(candidates):
    return [f"{one.outcome.trial}:L{one.level}" for one in candidates]


def test_every_level_of_every_trial_is_a_candidate(result):
    assert named(result.candidates) == ["0:L1", "0:L2", "1:L1", "2:L1", "2:L2", "2:L3"]
    first = result.candidates[1]
    assert first.cost == cost(SCORES["0"][0], 2, (64, 64))
    assert (first.iou, first.value("latency"), first.value("macs")) == (0.70, 5.0, first.cost.macs)
    assert [one.trial for one in result.outcomes] == ["0", "1", "2", "10"]
    assert [one.trial for one in result.failed] == ["10"]


def test_the_fronts_are_what_no_other_beats(result):
    for by in ("params", "macs", "latency", "weight_bytes"):
        front = result.pareto(by)
        for one in result.candidates:
            beaten = any(
                other.iou >= one.iou and other.value(by) <= one.value(by) and other is not one
                and (other.iou, other.value(by)) != (one.iou, one.value(by))
                for other in result.candidates
            )  # fmt: skip
            assert (one in front) == (not beaten)
    assert named(result.pareto("latency")) == ["1:L1", "0:L2"]


def test_the_best_of_limits(result):
    assert named([result.best()]) == ["0:L2"]
    assert named([result.best(max_latency=4.0)]) == ["1:L1"]
    most = result.candidates[3].cost.params
    assert named([result.best(max_params=most)]) == ["2:L1"]
    assert named([result.best(min_iou=0.6, by="latency")]) == ["1:L1"]
    assert named([result.best(min_iou=0.6)]) == named([min(
        (one for one in result.candidates if one.iou >= 0.6), key=lambda one: one.cost.params)])  # fmt: skip
    assert named([result.best(min_iou=0.6, max_latency=5.0, by="macs")]) == ["0:L1"]


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"min_iou": 0.9}, r"No candidate reaches min_iou=0\.9; the best has 0\.7000"),
        ({"max_latency": 3.0, "min_iou": 0.7}, r"the best with max_latency=3\.0 has 0\.6500"),
        ({"max_params": 5}, r"No candidate keeps max_params=5\. The smallest there are: params \d+"),
        ({"max_param": 5}, r"no limit 'max_param'\. Did you mean 'max_params'\?"),
        ({"min_iou": 0.1, "by": "time"}, r"no cost 'time'"),
    ],
)
def test_what_no_candidate_does_is_told(result, wanted, text):
    with pytest.raises(InputError, match=text):
        result.best(**wanted)


def test_saved_and_loaded_elsewhere(result, tmp_path):
    result.save(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "trials").rename(tmp_path / "gone")
    again = SearchResult.load(tmp_path / "b")
    assert str(again) == str(result)
    assert again.best().model().spec == SCORES["0"][0]
    assert str(tmp_path) not in (tmp_path / "b" / "result.json").read_text()
    again.save(tmp_path / "b")
    assert again.best().model().count_params() == cost(SCORES["0"][0]).params
    (tmp_path / "b" / "weights" / "0.safetensors").unlink()
    with pytest.raises(InputError, match=r"0\.safetensors is missing"):
        again.best().model()


def test_a_folder_without_a_result_and_a_later_format_are_told(result, tmp_path):
    with pytest.raises(InputError, match="There is no result of a search"):
        SearchResult.load(tmp_path)
    result.save(tmp_path)
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(InputError, match="has format 99"):
        SearchResult.load(tmp_path)


def test_the_table_shows_the_fronts_and_the_failures(result):
    lines = str(result).splitlines()
    assert re.split(r"  +", lines[0]) == ["trial", "level", *HEADINGS, "best by"]
    assert any(line.startswith("0") and "L2" in line and line.endswith("params macs latency") for line in lines)
    assert "6 levels of 4 trials" in lines
    assert lines[-1] == "trial 10 failed: InputError: The loss is not finite"


def test_the_picture(result, tmp_path, monkeypatch):
    from PIL import Image

    result.plot(tmp_path / "pareto.png")
    assert Image.open(tmp_path / "pareto.png").width > 1000
    monkeypatch.setattr("keras_unetpp.kit.requirements.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs matplotlib\. Install: pip install 'keras-unetpp\[plots\]'"):
        result.plot(tmp_path / "other.png")
