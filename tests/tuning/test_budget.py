import json

import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec import Spec, cost
from keras_unetpp.tuning.budget import Budget


def test_each_limit_is_the_figure_of_the_closed_form():
    spec = Spec((64, 64, 3), width=4, depth=2)
    whole = cost(spec)
    for name in ("params", "macs", "weight_bytes", "activation_bytes"):
        value = getattr(whole, name)
        assert Budget(**{name: value}).fits(spec)
        assert Budget(**{name: value - 1}).over(spec) == {name: value}


def test_limits_hold_together_and_latency_is_not_for_the_closed_form():
    spec = Spec((64, 64, 3), width=4, depth=2)
    tight = Budget(params=1, macs=1, weight_bytes=10**9, latency=0.001)
    assert set(tight.over(spec)) == {"params", "macs"}
    assert Budget(latency=0.001).fits(spec)


@pytest.mark.parametrize(
    ("size", "depth", "sides"), [(None, 4, (256, 256)), (100, 3, (104, 104)), ([64, 96], 5, (64, 96))]
)
def test_the_size_is_padded_to_what_the_network_takes(size, depth, sides):
    assert Budget(params=1, size=size).sides(Spec(depth=depth)) == sides


def test_one_number_stands_for_all_sides_of_a_volume():
    assert Budget(macs=1, size=(32,)).sides(Spec((None, None, None, 1), depth=2)) == (32, 32, 32)
    with pytest.raises(InputError, match=r"Budget\.size needs 2 sides\. Received: \(8, 8, 8\)"):
        Budget(macs=1, size=(8, 8, 8)).sides(Spec(depth=1))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"params": 0}, r"Budget\.params must be a positive whole number below 2\^63\. Received: 0"),
        ({"macs": 1.5}, r"Budget\.macs must be a positive whole number below 2\^63\. Received: 1\.5"),
        ({"latency": -1}, r"Budget\.latency must be a positive number below 2\^63\. Received: -1"),
        (
            {"size": (0, 8)},
            r"Budget\.size must be positive whole numbers up to 1,048,576, .* Received: \(0, 8\)",
        ),
    ],
)
def test_limits_that_make_no_sense_are_refused(fields, text):
    with pytest.raises(InputError, match=text):
        Budget(**fields)


def test_json_both_ways():
    budget = Budget(params=7, latency=2.5, size=(64, 96))
    assert Budget.from_dict(json.loads(json.dumps(budget.to_dict()))) == budget
    with pytest.raises(InputError, match=r"Budget has no field 'param'\. Did you mean 'params'\?"):
        Budget.from_dict({"param": 1})
