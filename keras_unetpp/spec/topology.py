"""Which nodes a nested U-Net has and what each of them reads: the one rule of the family, as data.

A node X^{i,j} sits in row i (resolution: input / 2^i) and column j; column 0 is the encoder. Every node with
j >= 1 reads the up-sampled X^{i+1,j-1} first and then skips from its own row. The topologies differ only in
those skips, and `unet` keeps only the last diagonal of decoder nodes. Networks before and beside the family keep a
few nodes of that diagonal: what is below is then up-sampled over several rows at once.

Source: Zhou et al., "UNet++: Redesigning Skip Connections to Exploit Multiscale Features in Image Segmentation",
IEEE TMI 2020, section III; U-Net: Ronneberger et al., MICCAI 2015.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from keras_unetpp.spec.choices import BOTH, Choices, remembered
from keras_unetpp.spec.names import node_name


class Node(NamedTuple):
    """X^{row,column} of the triangle."""

    row: int
    column: int

    @property
    def name(self) -> str:
        """Prefix of the names of the node's layers, for example `x_0_2`."""
        return node_name(self.row, self.column)


class Topology(NamedTuple):
    """A row of the table: which skips a node reads, and which nodes there are.

    Attributes:
        text: what it is.
        source: where it comes from.
        skips: the columns of its own row that a node of the given column (>= 1) reads, in reading order.
        ranks: for images (2), for volumes (3).
        every_level: it has all nodes; else the encoder and the last diagonal of decoder nodes.
        rows: of the last diagonal, those in which a decoder node stands, by depth; row 0 is one. Of `every_level`, all.
        above: rows above this one read no skips.
        alone: the topology that one level by itself is; empty: the same.
    """

    text: str
    source: str
    skips: Callable[[int], range]
    ranks: tuple[int, ...] = BOTH
    every_level: bool = True
    alone: str = ""
    rows: Callable[[int], Collection[int]] = range
    above: int = 0


RONNEBERGER, ZHOU = "Ronneberger et al., MICCAI 2015", "Zhou et al., IEEE TMI 2020"


def _first(column: int) -> range:
    return range(1)


def _two_lowest(depth: int) -> set[int]:
    return {0, max(depth - 2, 0), depth - 1}


SKIPS: Choices[Topology] = Choices(
    {
        "unet": Topology("U-Net: one decoder", RONNEBERGER, _first, every_level=False),
        "unet_e": Topology("U-Nets of all depths on one encoder", ZHOU, _first, alone="unet"),
        "unet+": Topology("short skips: the node before", ZHOU, lambda column: range(column - 1, column)),
        "unet++": Topology("dense skips: all nodes before", ZHOU, lambda column: range(column)),
        "fcn": Topology(
            "FCN-8s: skips in the two rows above the lowest, then to row 0 at once",
            "Long et al., CVPR 2015",
            *(_first, BOTH, False, "", _two_lowest, 1),
        ),
        "low_skip": Topology(
            "DeepLab v3+: from the lowest row to row 1 at once, a skip there, then to row 0",
            "Chen et al., ECCV 2018",
            *(_first, BOTH, False, "", lambda depth: range(min(depth, 2)), 1),
        ),
        "direct": Topology(
            "PSPNet: from the lowest row to row 0 at once, without skips",
            "Zhao et al., CVPR 2017",
            *(_first, BOTH, False, "", lambda depth: range(1), 1),
        ),
    }
)
"""`Spec.topology`."""


@remembered(None)
def nodes(topology: str, depth: int) -> tuple[Node, ...]:
    """All nodes, in building order: diagonal by diagonal, each from the bottom up.

    A node reads only nodes before it, and the nodes of level Lk come before those that only deeper levels need.
    """
    triangle = (Node(diagonal - column, column) for diagonal in range(depth + 1) for column in range(diagonal + 1))
    if SKIPS[topology].every_level:
        return tuple(triangle)
    rows = SKIPS[topology].rows(depth)
    return tuple(node for node in triangle if node.column == 0 or (sum(node) == depth and node.row in rows))


@remembered(None)
def reads(topology: str, node: Node) -> tuple[Node, ...]:
    """Inputs of a node in the order of concatenation: the node below (to be up-sampled), then the skips.

    An encoder node reads the one above it (to be pooled); X^{0,0} reads the image, which is no node.
    """
    row, column = node
    if column == 0:
        return (Node(row - 1, 0),) if row else ()
    chosen, diagonal = SKIPS[topology], row + column
    below = min((other for other in chosen.rows(diagonal) if other > row), default=diagonal)
    skips = chosen.skips(column) if row >= chosen.above else ()
    return (Node(below, diagonal - below), *(Node(row, skip) for skip in skips))


@remembered(None)
def levels(topology: str, depth: int) -> tuple[int, ...]:
    """The k for which X^{0,k} exists: 1..d, but only d for `unet`."""
    return tuple(node.column for node in nodes(topology, depth) if node.row == 0 and node.column > 0)


@remembered(None)
def needed(topology: str, depth: int, level: int) -> tuple[Node, ...]:
    """The nodes that X^{0,level} depends on, itself included, in building order.

    For `unet+` and `unet++` these are exactly the nodes with i + j <= level; `unet_e` shares no decoder nodes
    between levels, so there they are the encoder down to row `level` and the diagonal i + j = level.
    """
    wanted = {Node(0, level)}
    order = nodes(topology, depth)
    for node in reversed(order):
        if node in wanted:
            wanted.update(reads(topology, node))
    return tuple(node for node in order if node in wanted)


def draw(topology: str, depth: int, widths: Sequence[str]) -> str:
    """The triangle as text, one line a row, with a text on the width of each row.

    >>> print(draw("unet", 2, ("32 filters", "64 filters", "128 filters")))
    x_0_0  .      x_0_2    32 filters
       x_1_0  x_1_1        64 filters
          x_2_0            128 filters
    """
    present = set(nodes(topology, depth))
    lines = []
    for row in range(depth + 1):
        cells = [Node(row, column) for column in range(depth + 1 - row)]
        text = "".join(f"{cell.name if cell in present else '.':7}" for cell in cells)
        lines.append(f"{' ' * (3 * row) + text:{7 * (depth + 1) + 2}}{widths[row]}")
    return "\n".join(lines)
