"""A run and a search that version 0.1.0 began, and the data that they were begun with."""

import json
import zipfile
from pathlib import Path

import keras
import pytest

import keras_unetpp as kup
from keras_unetpp.files import RECORD
from keras_unetpp.kit.errors import InputError, InputWarning

pytestmark = pytest.mark.filterwarnings("ignore::keras_unetpp.kit.errors.InputWarning")

RUN = {"epochs": 3, "crop": 16, "batch_size": 2, "crops_per_epoch": 4, "progress": False}
SEARCH = {"tuner": "grid", "depth": [1, 2], "shares": 1, "epochs": 1, "crop": 16, "batch_size": 2, "repeat": 0,
          "crops_per_epoch": 4, "progress": False}  # fmt: skip
BUDGET = kup.Budget(params=3000, size=24)


@pytest.fixture
def earlier(tmp_path):
    with zipfile.ZipFile(Path(__file__).with_name("version_0_1_0.zip")) as file:
        file.extractall(tmp_path)
    return tmp_path


def model():
    keras.utils.set_random_seed(0)
    return kup.build((None, None, 3), width=2, depth=1)


def test_a_run_goes_on_and_is_ours_from_then_on(earlier):
    with pytest.warns(InputWarning, match="does not say with what data"):
        rows = kup.fit(model(), earlier / "data", earlier / "run", until=2, **RUN)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["val_L1_iou"] == pytest.approx(0.3156733)
    assert {"best.keras", "last.keras", "log.csv"} <= json.loads((earlier / "run" / RECORD).read_text())["files"].keys()
    assert len(kup.fit(model(), earlier / "data", earlier / "run", **RUN)) == 3


def test_of_a_run_whose_log_is_lost_the_best_model_is_not_replaced(earlier):
    (earlier / "run" / "log.csv").unlink()
    before = (earlier / "run" / "best.keras").read_bytes()
    with pytest.raises(InputError, match=r"log\.csv is missing, without which the best epoch is not known\. Put back"):
        kup.fit(model(), earlier / "data", earlier / "run", **RUN)
    assert (earlier / "run" / "best.keras").read_bytes() == before


def test_a_search_goes_on(earlier):
    assert kup.SearchResult.load(earlier / "search" / "result").best().outcome.trial == "0"
    finished = (earlier / "search" / "trials" / "0" / "outcome.json").read_bytes()
    result = kup.search(earlier / "data", earlier / "search", BUDGET, max_trials=2, **SEARCH)
    assert [one.trial for one in result.outcomes] == ["0", "1"]
    assert (earlier / "search" / "trials" / "0" / "outcome.json").read_bytes() == finished
    assert len(kup.SearchResult.load(earlier / "search" / "result").outcomes) == 2


def test_what_somebody_put_beside_is_not_taken_for_ours(earlier):
    kup.fit(model(), earlier / "data", earlier / "run", until=2, **RUN)
    (earlier / "run" / "best.keras").write_text("my model")
    with pytest.raises(InputError, match=r"best\.keras is there already, and this package did not write it"):
        kup.fit(model(), earlier / "data", earlier / "run", **RUN)
    assert (earlier / "run" / "best.keras").read_text() == "my model"
