"""Specs that version 0.1.0 and those before it wrote down mean what they meant."""

import json
from pathlib import Path

import pytest

from keras_unetpp.spec import Spec
from keras_unetpp.spec.fields import FIELDS
from keras_unetpp.spec.records import BEFORE, resumed

ZOO = Path(__file__).parents[2] / "zoo" / "nuclei_small" / "spec.json"


def record(without=("standardize_epsilon",), **fields):
    """What an earlier version wrote."""
    return {name: value for name, value in Spec(**fields).to_dict().items() if name not in without}


def test_a_record_of_before_keeps_the_constant_of_before():
    earlier = record(normalization="standardize")
    assert Spec.from_dict(earlier) == Spec(normalization="standardize", standardize_epsilon=0.1)
    assert Spec.from_json(json.dumps(earlier)) == Spec.from_dict(earlier)
    assert Spec.from_json(ZOO.read_text(encoding="utf-8")).standardize_epsilon == 0.1


def test_where_nothing_is_standardised_it_is_the_spec_of_today():
    assert Spec.from_dict(record(normalization="rescale")) == Spec(normalization="rescale")


def test_what_a_caller_writes_takes_the_defaults_of_today():
    assert Spec.from_dict({"normalization": "standardize"}) == Spec(normalization="standardize")
    assert Spec.preset("unet++", normalization="standardize").standardize_epsilon == 1e-5


def test_a_record_of_today_says_it_itself():
    today = Spec(normalization="standardize", standardize_epsilon=1e-3)
    assert Spec.from_dict(today.to_dict()) == today


@pytest.mark.parametrize("name", BEFORE)
def test_records_may_lack_any_field_that_came_later(name):
    earlier = record(without=(name,), normalization="standardize")
    assert getattr(Spec.from_dict(earlier), name) == BEFORE[name]


def test_going_on_with_a_record():
    earlier, wanted = record(normalization="standardize"), Spec(normalization="standardize").to_dict()
    assert resumed(earlier, wanted, FIELDS) == {**wanted, "standardize_epsilon": 0.1}
    asked = {**wanted, "standardize_epsilon": 1e-3}
    assert resumed(earlier, asked, FIELDS) == asked
    assert resumed(wanted, wanted, FIELDS) == wanted
    assert resumed(record(), Spec().to_dict(), FIELDS) == Spec().to_dict()
    part = {"normalization": "standardize", "depth": 3}
    assert resumed(part, {**part, "standardize_epsilon": 1e-5}, FIELDS) == {**part, "standardize_epsilon": 0.1}
