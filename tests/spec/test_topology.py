"""The one rule of the family: nodes, what each reads, and what a level needs."""

import pytest

from keras_unetpp.spec.topology import SKIPS, Node, draw, levels, needed, nodes, reads

NESTED = ("unet_e", "unet+", "unet++")
ROWS = {
    "unet": lambda depth: range(depth),
    "fcn": lambda depth: {0, depth - 1, max(depth - 2, 0)},
    "low_skip": lambda depth: {0, 1} if depth > 1 else {0},
    "direct": lambda depth: {0},
}
"""Rows of the decoder nodes of those that have one decoder."""

EVERY = [(topology, depth) for topology in SKIPS for depth in range(1, 7)]


def triangle(depth):
    return {Node(row, column) for row in range(depth + 1) for column in range(depth + 1 - row)}


def test_the_family_is_these_four_and_others_have_one_decoder():
    assert tuple(SKIPS)[:4] == ("unet", "unet_e", "unet+", "unet++")
    assert {*SKIPS} == {*NESTED, *ROWS}


def test_node_is_named_by_row_and_column():
    assert Node(0, 2).name == "x_0_2"
    assert Node(3, 1) == (3, 1)


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_nodes(topology, depth):
    found = nodes(topology, depth)
    if topology in NESTED:
        assert set(found) == triangle(depth)
        assert len(found) == (depth + 1) * (depth + 2) // 2
    else:
        assert set(found) == {
            node
            for node in triangle(depth)
            if node.column == 0 or (sum(node) == depth and node.row in ROWS[topology](depth))
        }
        assert len(found) == depth + 1 + len(ROWS[topology](depth))


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_every_node_reads_only_nodes_built_before_it(topology, depth):
    built = set()
    for node in nodes(topology, depth):
        assert built.issuperset(reads(topology, node))
        built.add(node)


@pytest.mark.parametrize("topology", SKIPS)
def test_encoder_reads_the_row_above(topology):
    assert reads(topology, Node(0, 0)) == ()
    assert reads(topology, Node(3, 0)) == (Node(2, 0),)


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        ("unet", [(2, 2), (1, 0)]),
        ("unet_e", [(2, 2), (1, 0)]),
        ("unet+", [(2, 2), (1, 2)]),
        ("unet++", [(2, 2), (1, 0), (1, 1), (1, 2)]),
    ],
)
def test_decoder_reads_the_node_below_then_its_row(topology, expected):
    assert list(reads(topology, Node(1, 3))) == expected


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        ("fcn", {"x_4_1": "x_5_0 x_4_0", "x_3_2": "x_4_1 x_3_0", "x_0_5": "x_3_2"}),
        ("low_skip", {"x_1_4": "x_5_0 x_1_0", "x_0_5": "x_1_4"}),
        ("direct", {"x_0_5": "x_5_0"}),
    ],
)
def test_decoders_that_leave_rows_out(topology, expected):
    found = {
        node.name: " ".join(one.name for one in reads(topology, node)) for node in nodes(topology, 5) if node.column
    }
    assert found == expected
    assert levels(topology, 5) == (5,)


@pytest.mark.parametrize("topology", SKIPS)
def test_first_decoder_column_is_the_same_everywhere(topology):
    assert list(reads(topology, Node(2, 1))) == [(3, 0), (2, 0)]


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_levels(topology, depth):
    assert levels(topology, depth) == (tuple(range(1, depth + 1)) if topology in NESTED else (depth,))


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_needed(topology, depth):
    for level in levels(topology, depth):
        own_diagonal = {node for node in triangle(level) if node.column == 0 or sum(node) == level}
        if topology in ROWS:
            own_diagonal = {node for node in own_diagonal if node.column == 0 or node.row in ROWS[topology](level)}
        expected = triangle(level) if topology in ("unet+", "unet++") else own_diagonal
        assert set(needed(topology, depth, level)) == expected
        assert list(needed(topology, depth, level)) == [node for node in nodes(topology, depth) if node in expected]


@pytest.mark.parametrize(("topology", "depth"), EVERY)
def test_every_node_is_needed_by_some_level(topology, depth):
    used = {node for level in levels(topology, depth) for node in needed(topology, depth, level)}
    assert used == set(nodes(topology, depth))


@pytest.mark.parametrize("topology", ["unet_e", "unet+", "unet++"])
def test_nodes_of_a_level_come_before_those_of_deeper_levels(topology):
    order = [sum(node) for node in nodes(topology, 4)]
    assert order == sorted(order)


def test_draw_full_triangle():
    assert draw("unet++", 2, ("8 filters", "16 filters", "32 filters")).splitlines() == [
        "x_0_0  x_0_1  x_0_2    8 filters",
        "   x_1_0  x_1_1        16 filters",
        "      x_2_0            32 filters",
    ]


def test_draw_of_a_decoder_that_leaves_rows_out():
    assert draw("low_skip", 3, ("1", "2", "4", "8")).splitlines() == [
        "x_0_0  .      .      x_0_3    1",
        "   x_1_0  .      x_1_2        2",
        "      x_2_0  .                4",
        "         x_3_0                8",
    ]


def test_draw_marks_the_nodes_that_unet_lacks():
    assert draw("unet", 3, ("1 filters", "2 filters", "4 filters", "8 filters")).splitlines() == [
        "x_0_0  .      .      x_0_3    1 filters",
        "   x_1_0  .      x_1_2        2 filters",
        "      x_2_0  x_2_1            4 filters",
        "         x_3_0                8 filters",
    ]
