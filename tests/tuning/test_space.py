import json
import random

import pytest
from sampling import sampled

from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import Spec, cost
from keras_unetpp.tuning.budget import Budget
from keras_unetpp.tuning.hypermodel import UNetPPHyperModel
from keras_unetpp.tuning.oracle import make_oracle
from keras_unetpp.tuning.space import Space

AXES = {
    "depth": (1, 2, 3, 4, 5),
    "topology": ("unet", "unet_e", "unet+", "unet++"),
    "block": ("conv", "preact"),
    "norm": ("none", "batch", "group", "layer"),
    "up": ("transpose", "nearest", "bilinear"),
    "activation": ("relu", "silu"),
    "dropout": (0.0, 0.2),
    "learning_rate": (1e-3, 3e-3),
    "batch_size": (4, 8),
}
BUDGETS = (
    {"params": 4_000},
    {"params": 60_000},
    {"params": 150_000, "macs": 10**9},
    {"macs": 3 * 10**8, "size": 128},
    {"weight_bytes": 300_000, "activation_bytes": 12_000_000},
    {"tflite_bytes": 700_000},
    {"tflite_bytes": 400_000, "macs": 2 * 10**9, "params": 10**5},
    {"activation_bytes": 9_000_000},
)


def draw(space, count, seed):
    oracle = make_oracle("random", count, 1, seed)
    hypermodel = UNetPPHyperModel(space)
    hp = oracle.get_space()
    hypermodel.declare_hyperparameters(hp)
    oracle.update_space(hp)
    return [space.proposal(oracle._random_values()) for _ in range(count)]


@pytest.mark.parametrize("count", sampled([300, 2000], [300]))
def test_candidates_over_mixed_axes_and_budgets_none_over_budget(count):
    rng = random.Random(0)
    found, refused = [], 0
    while len(found) < count:
        budget = Budget(**rng.choice(BUDGETS))
        axes = {name: rng.sample(values, rng.randint(1, min(3, len(values)))) for name, values in AXES.items()}
        try:
            space = Space.create(budget, axes)
        except InputError as error:
            assert "Raise the budget" in str(error) or "norm_groups" in str(error)  # noqa: PT017
            refused += 1
            continue
        found += [(budget, one) for one in draw(space, 50, seed=len(found))]
    assert refused < 40
    assert not [one for budget, one in found if budget.over(one.spec)]
    assert len({one.spec for _, one in found}) > count / 4
    for budget, one in rng.sample(found, count // 40):
        real = build(one.spec).count_params()
        assert real == cost(one.spec).params
        assert real <= budget.limits().get("params", real)
        assert 4 * real <= budget.limits().get("weight_bytes", 4 * real)


def test_the_widest_that_fits_is_offered_for_each_structure():
    space = Space.create(Budget(params=500_000), {"norm": ["batch", "group"], "up": ["transpose", "nearest"]})
    for combination, widths in space.offers.items():
        depth, norm, up = combination
        step = 8 if norm == "group" else 1
        wider = Spec(depth=int(depth), norm=norm, up=up, width=widths["1"] + step)
        assert cost(wider).params > 500_000 >= cost(wider.replace(width=widths["1"])).params
        assert list(widths.values()) == sorted(set(widths.values()), reverse=True)


def test_widths_may_be_given():
    space = Space.create(Budget(params=20_000), {"depth": [1, 2], "width": [4, 8, 16, 64]})
    assert space.offers == {("1",): {"8": 8, "4": 4}, ("2",): {"4": 4}}
    assert len(space) == 3
    assert {one.spec.filters[0] for one in space.proposals()} == {4, 8}
    fixed = Space.create(Budget(params=20_000), {"depth": 1, "width": 8})
    assert [one.spec.filters for one in fixed.proposals()] == [(8, 16)]
    assert fixed.branches() == []
    assert fixed.proposal({}) == fixed.proposals()[0]


def test_an_empty_space_names_the_smallest_budget_that_would_do():
    with pytest.raises(InputError, match=r"params=643 \(received 100\).*depth 2 and filters \(1, 2, 4\)"):
        Space.create(Budget(params=100), {})
    assert Space.create(Budget(params=643), {"depth": [2, 3]}).proposals()[0].spec.filters == (1, 2, 4)
    with pytest.raises(InputError, match="params=643"):
        Space.create(Budget(params=642), {"depth": [2, 3]})


def test_a_value_that_no_combination_makes_valid_is_named(recwarn):
    found = Space.create(Budget(params=10**9), {"depth": [1, 99], "up": ["transpose", "nearest"]})
    assert {one.spec.depth for one in found.proposals()} == {1}
    assert [str(one.message) for one in recwarn] == [
        "The search leaves out depth=99: Spec.depth must be a whole number from 1 to 6. Received: 99."
    ]
    Space.create(Budget(params=10**9), {"backbone": "vgg16"}, Spec(depth=3))
    Space.create(Budget(params=10**9), {"stem": [True, False], "backbone": [None, "resnet18"], "depth": [2]})
    assert len(recwarn) == 1


def test_combinations_that_are_no_valid_spec_are_left_out():
    base = Spec((None, None, None, 1))
    space = Space.create(Budget(params=50_000, size=32), {"up": ["bilinear", "nearest"], "depth": 2}, spec=base)
    assert {one.spec.up for one in space.proposals()} == {"nearest"}
    with pytest.raises(InputError, match="bilinear"):
        Space.create(Budget(params=50_000), {"up": ["bilinear"], "depth": [2]}, spec=base)
    cropped = Space.create(Budget(params=500_000), {"depth": [3, 4, 5], "crop": [16, 48, 64]})
    assert {(one.spec.depth, one.recipe.crop) for one in cropped.proposals()} == {
        *((3, 16), (3, 48), (3, 64), (4, 16), (4, 48), (4, 64), (5, 64))
    }


def test_shares_say_how_many_widths_there_are():
    counts = [len(Space.create(Budget(params=500_000), {"depth": [3]}, shares=n)) for n in (1, 2, 6)]
    assert counts == [1, 2, 6]


def test_measured_latency_decides_each_width():
    measured = []

    def measure(spec):
        measured.append(spec)
        return spec.filters[0] * spec.depth / 2 + (spec.filters[0] == 11)

    space = Space.create(Budget(latency=12.0), {"depth": [2, 4]}, measure=measure)
    assert space.offers[("2",)]["1"] == 12
    assert space.offers[("4",)]["1"] == 6
    assert all(measure(one.spec) <= 12 for one in space.proposals())
    assert len(set(measured)) < 30
    with pytest.raises(InputError, match=r"latency=1\.0 \(received 0\.5\)"):
        Space.create(Budget(latency=0.5), {"depth": [2, 4]}, measure=measure)


def test_json_both_ways_and_every_proposal_once():
    space = Space.create(
        Budget(params=30_000), {"depth": [1, 2], "norm": ["none", "batch"], "learning_rate": [1e-3, 1]}
    )
    again = Space.from_dict(json.loads(json.dumps(space.to_dict())))
    assert again == space
    assert again.offers == space.offers
    every = space.proposals()
    assert len(every) == len(space) == len(set(every))
    assert set(draw(again, 300, 0)) == set(every)


def test_fixed_values_hold_for_all_candidates():
    space = Space.create(
        Budget(params=30_000),
        {"depth": 2, "classes": 3, "epochs": 5, "input_shape": (64, 64, 1)},
        recipe=Recipe(crop=32),
    )
    for spec, recipe in space.proposals():
        assert (spec.depth, spec.classes, spec.input_shape) == (2, 3, (64, 64, 1))
        assert (recipe.epochs, recipe.crop) == (5, 32)


@pytest.mark.parametrize(
    ("budget", "values", "text"),
    [
        (Budget(), {}, "needs a budget: give one limit at least"),
        (Budget(size=64), {}, "needs a budget"),
        *(
            (Budget(params=10**6), {name: (4, 8)}, f"The search chooses {name}, by width")
            for name in ("filters", "decoder_filters")
        ),
        (Budget(params=10**6), {"dept": 3}, r"no field 'dept' to search\. Did you mean 'depth'\?"),
        (Budget(params=10**6), {"filters": [8, 16]}, "Give width= a list"),
        (Budget(params=10**6), {"norm": []}, "norm needs one value at least"),
        (Budget(params=10**6), {"norm": ["bach"]}, r"Spec\.norm must be one of .*Received: 'bach'"),
        (Budget(params=10**6), {"learning_rate": [0.1, "big"]}, r"Recipe\.learning_rate must be a number"),
    ],
)
def test_what_cannot_be_searched_is_told(budget, values, text):
    with pytest.raises(InputError, match=text):
        Space.create(budget, values)


def test_a_spec_of_decoder_widths_is_refused_and_where_widths_stop_is_kept():
    with pytest.raises(InputError, match=r"^A search scales all widths by that of row 0\. Received: a Spec of dec"):
        Space.create(Budget(params=10**6), {}, Spec(depth=2, decoder_filters=(4, 8)))
    space = Space.create(Budget(params=10**9), {"depth": 2}, Spec(max_filters=24))
    assert {one.spec.filters for one in space.proposals()} == {(24, 24, 24), (17, 24, 24), (12, 24, 24), (8, 16, 24)}
    space = Space.create(Budget(params=10**9), {"depth": 2, "max_filters": [24, 30]})
    assert {one.spec.filters[0] for one in space.proposals()} == {24, 17, 12, 8, 30, 21, 15, 11}


def test_values_that_are_no_candidate_are_refused():
    space = Space.create(Budget(params=30_000), {"depth": [1, 2]})
    with pytest.raises(InputError, match="no candidate of the space"):
        space.proposal({"depth": "7"})


def test_backbones_are_an_axis_like_any_other():
    budget = Budget(params=1_500_000, macs=2_000_000_000, size=(256, 256))
    axes = {"backbone": [None, "efficientnet_lite0", "resnet50"], "depth": [3, 5]}
    space = Space.create(budget, axes)
    found = {point[:2] for point in space.offers}
    assert found == {("3", "none"), ("5", "none"), ("3", "efficientnet_lite0")}
    for (depth, backbone), widths in space.offers.items():
        fields = {"depth": int(depth), "backbone": None if backbone == "none" else backbone}
        costs = [cost(Spec(**fields, width=width), size=(256, 256)) for width in widths.values()]
        assert all(one.params <= budget.params and one.macs <= budget.macs for one in costs)
        wider = cost(Spec(**fields, width=max(widths.values()) + 1), size=(256, 256))
        assert wider.params > budget.params or wider.macs > budget.macs
