"""Every row of every table of design choices: it is explained, and what it states is what its layers do."""

import keras
import pytest
from counting import built, counted, counted_parts, farthest

from keras_unetpp.graph.describe import select
from keras_unetpp.graph.layers import MAKERS
from keras_unetpp.spec import UPS, Spec, cost, node_costs, plan, receptive_radius
from keras_unetpp.spec.choices import Choices, OrNone
from keras_unetpp.spec.fields import FIELDS
from keras_unetpp.spec.forms import value
from keras_unetpp.spec.ops import Backbone
from keras_unetpp.spec.plan import variables

TABLES = {
    name: getattr(item.metadata["allowed"], "table", item.metadata["allowed"])
    for name, item in FIELDS.items()
    if isinstance(item.metadata.get("allowed"), (Choices, OrNone))
}
ROWS = [(name, key) for name, table in TABLES.items() for key in table]
CASES = [(name, key, rank) for name, key in ROWS for rank in TABLES[name][key].ranks]

WHOLE = {
    *(("norm", "group"), ("norm", "instance"), ("normalization", "standardize")),
    *(("attention", "se"), ("attention", "scse"), ("context", "pyramid_pooling"), ("context", "atrous_pyramid")),
}
"""Rows that learn from the whole image besides, which no reach counts."""


def smallest(name, key, rank, **fields):
    """The smallest network that a row can be in."""
    wide = getattr(TABLES[name][key], "multiple", 1)
    filters = tuple(4 * wide + (4 if name == "context" else 2) * row * wide for row in range(2))
    shape = (*((8, 4, 6)[:rank]), 3)
    fields = {"norm": "none", "head_activation": "linear", **fields, name: key}
    return Spec(shape, classes=2, depth=1, filters=filters, norm_groups=2, cardinality=2, squeeze_ratio=2, **fields)


def test_the_tables():
    assert list(TABLES) == [
        *("topology", "block", "decoder_block", "attention", "context", "norm", "activation", "down"),
        *("up", "merge", "normalization", "head"),
    ]


@pytest.mark.parametrize(("name", "key"), ROWS)
def test_a_row_says_what_it_is_where_it_comes_from_and_for_which_ranks(name, key):
    row = TABLES[name][key]
    assert row.text
    assert row.source
    assert row.ranks in ((2,), (3,), (2, 3))
    assert {type(one.operation) for rank in row.ranks for one in plan(smallest(name, key, rank))} <= {*MAKERS, Backbone}


@pytest.mark.parametrize(("name", "key", "rank"), CASES)
def test_parameters_macs_memory_and_shapes_are_those_of_the_layers(name, key, rank):
    spec = smallest(name, key, rank)
    model, order = built(spec)
    assert counted(model, order) == cost(spec)
    found = {part: (one.params, one.macs, one.activation_bytes) for part, one in node_costs(spec).items()}
    assert found == counted_parts(order)
    rows = {row.name: row for row in plan(spec)}
    assert {row.name for row in rows.values()} == {layer.name for layer in order}
    for layer in order:
        row = rows[layer.name]
        sides = [row.fixed or side // 2**times for side, times in zip(spec.sides, row.halvings, strict=True)]
        shapes = [tuple(tensor.shape[1:]) for tensor in keras.tree.flatten(layer.output)]
        assert shapes == [(*sides, value(form, variables(spec))) for form in row.outputs.values()]


JUMPS = [
    *(("direct", up, rank) for up, row in UPS.items() if row.down is None for rank in row.ranks),
    ("fcn", "transpose", 2),
]
"""Nodes that read over several rows at once, through each way of up-sampling."""


@pytest.mark.parametrize(("topology", "up", "rank"), JUMPS)
def test_over_several_rows_at_once(topology, up, rank):
    shape = (*((16, 8, 8)[:rank]), 3)
    fields = {"topology": topology, "depth": 3, "filters": (4, 4, 8, 8), "norm": "none", "up_kernel": 3, "up": up}
    spec = Spec(shape, head_activation="linear", **fields)
    model, order = built(spec)
    assert counted(model, order) == cost(spec)
    found = {part: (one.params, one.macs, one.activation_bytes) for part, one in node_costs(spec).items()}
    assert found == counted_parts(order)
    if rank == 2:
        whole = spec.replace(input_shape=(None, None, 1), decoder_block="pass")
        assert farthest(select(built(whole)[0]), spec.divisor, receptive_radius(whole)) == receptive_radius(whole)


@pytest.mark.parametrize(("name", "key", "rank"), CASES)
def test_reach_is_what_the_gradient_reaches(name, key, rank):
    spec = smallest(name, key, rank).replace(input_shape=(*(None,) * rank, 1))
    radius, model = receptive_radius(spec), select(built(spec)[0])
    found = {farthest(model, spec.divisor, radius, axis) for axis in range(rank)}
    if (name, key) in WHOLE:
        assert min(found) > radius
    else:
        assert found == {radius}
