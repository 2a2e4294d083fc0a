"""Any valid Spec: what must hold for all of them, with Specs drawn over all fields."""

import pytest
from fuzz_specs import drawn, faults

from keras_unetpp.spec import Spec, cost, node_costs, plan, receptive_radius

pytestmark = pytest.mark.usefixtures("small_backbone")
AT_ONCE = 10


def test_on_paper():
    for seed in range(200):
        spec, _ = drawn(seed)
        assert Spec.from_json(spec.to_json()) == spec
        assert hash(Spec.from_dict(spec.to_dict())) == hash(spec)
        assert spec.replace() == spec
        whole = cost(spec)
        assert whole.params == sum(part.params for part in node_costs(spec).values())
        assert whole.macs == sum(part.macs for part in node_costs(spec).values())
        for level in spec.levels:
            assert cost(spec, level) == cost(spec.at_level(level))
            assert receptive_radius(spec, level) == receptive_radius(spec.at_level(level))
            assert {row.name for row in plan(spec, level)} <= {row.name for row in plan(spec)}
        radii = [receptive_radius(spec, level) for level in spec.levels]
        assert radii == sorted(radii)


@pytest.mark.parametrize("first", range(0, 40, AT_ONCE))
def test_built(first):
    for seed in range(first, first + AT_ONCE):
        spec, _ = drawn(seed)
        assert list(faults(spec, seed)) == [], f"seed {seed}: {spec}"
