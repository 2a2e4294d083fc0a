"""The layers of a network as named rows, in building order, with no Keras in it.

`graph` turns each row into one Keras layer; `cost` counts each row; pruning keeps the rows that one head needs.
Channel counts are linear forms over the variables (input channels, classes, filters of row 0, 1, ..), so that
Specs which differ only in widths share one plan.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter, mul
from typing import NamedTuple

from keras_unetpp.errors import InputError
from keras_unetpp.spec import topology as topologies
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.topology import Node

Form = tuple[int, ...]
Level = int | str | None

IMAGE = "image"
MEAN = "mean"
CONV_KERNEL = 3


class Row(NamedTuple):
    """One layer: what it is called, what it is, whose outputs it reads and what it gives."""

    name: str
    kind: str
    reads: tuple[str, ...]
    channels: Form
    resolution: int
    part: str
    kernel: int = 0


def head_name(level: int) -> str:
    """Name of the last layer of a level's head and of its output: `L1`, `L2`, .."""
    return f"L{level}"


def variables(spec: Spec) -> Form:
    """Values of the variables of a linear form, in their order."""
    return (spec.channels, spec.classes, *spec.filters)


def value(form: Form, values: Form) -> int:
    """A linear form at given values of its variables."""
    return sum(map(mul, form, values))


def plan(spec: Spec, level: Level = None) -> tuple[Row, ...]:
    """The rows of the whole network (`level` None), of one level with its head, or of `"mean"`, the heads' average.

    Raises:
        InputError: if the network has no head for that level.
    """
    return rows_of(structure(spec), check_level(spec, level))


def check_level(spec: Spec, level: Level) -> Level:
    """`level` itself if the network has a head for it, else an `InputError` naming those it has."""
    if level is None or (level == MEAN and len(spec.levels) > 1) or (type(level) is int and level in spec.levels):
        return level
    allowed = ", ".join(map(str, spec.levels)) + (f" or {MEAN!r}" if len(spec.levels) > 1 else "")
    raise InputError(f"This network has heads for level {allowed}. Received: {level!r}.")


_fields: Callable[[Spec], tuple] = attrgetter(
    *("topology", "depth", "levels", "block", "decoder_block", "norm", "up", "up_kernel", "normalization"),
    *("head", "head_kernel"),
)


def structure(spec: Spec) -> tuple:
    """All of a Spec that its plan depends on: Specs that differ only in numbers of channels share it."""
    return (*_fields(spec), spec.dropout > 0)


@lru_cache(maxsize=1024)
def rows_of(structure: tuple, level: Level) -> tuple[Row, ...]:
    """The plan of a structure; `plan` is the checked way in."""
    if level is None:
        return tuple(_Planner(*structure).rows())
    rows = rows_of(structure, None)
    if level == MEAN:
        heads = tuple(row for row in rows if row.name == row.part and row.name.startswith("L"))
        return (*rows, Row(MEAN, "average", tuple(row.name for row in heads), heads[0].channels, 0, MEAN))
    return keep(rows, (head_name(int(level)),))


def keep(rows: tuple[Row, ...], outputs: Iterable[str]) -> tuple[Row, ...]:
    """The rows that the named outputs depend on, in their order."""
    wanted = set(outputs)
    for row in reversed(rows):
        if row.name in wanted:
            wanted.update(row.reads)
    return tuple(row for row in rows if row.name in wanted)


@dataclass
class _Planner:
    """Writes the rows of one structure; `last` is the row just written."""

    topology: str
    depth: int
    levels: tuple[int, ...]
    block: str
    decoder_block: str | None
    norm: str
    up: str
    up_kernel: int
    normalization: str
    head: str
    head_kernel: int
    dropout: bool

    def rows(self) -> list[Row]:
        """All rows: the image, its normalisation, every node, every head as soon as its node is there."""
        self.written: dict[str, Row] = {}
        self.add(IMAGE, "input", (), self.unit(0), 0, IMAGE)
        if self.normalization != "none":
            self.chain("normalization", self.normalization, IMAGE)
        source = self.last.name
        tips: dict[Node, str] = {}
        for node in topologies.nodes(self.topology, self.depth):
            self.gather(node, tips, source)
            self.body(node)
            tips[node] = self.last.name
            if node.row == 0 and node.column in self.levels:
                self.finish(node.column)
        return list(self.written.values())

    def unit(self, variable: int) -> Form:
        """The linear form that is one variable."""
        return tuple(int(position == variable) for position in range(self.depth + 3))

    def add(self, name: str, kind: str, reads: tuple[str, ...], channels: Form, resolution: int, part: str,
            kernel: int = 0) -> None:  # fmt: skip
        """Write one row."""
        self.last = self.written[name] = Row(name, kind, reads, channels, resolution, part, kernel)

    def chain(self, name: str, kind: str, part: str, channels: Form | None = None, kernel: int = 0) -> None:
        """Write a row that reads the last one, at its resolution."""
        self.add(name, kind, (self.last.name,), channels or self.last.channels, self.last.resolution, part, kernel)

    def gather(self, node: Node, tips: dict[Node, str], source: str) -> None:
        """Bring what the node reads to its resolution and join it."""
        below = topologies.reads(self.topology, node)
        if not below:
            self.last = self.written[source]
            return
        self.last = self.written[tips[below[0]]]
        if node.column == 0:
            self.add(f"{node.name}_pool", "max_pool", (self.last.name,), self.last.channels, node.row, node.name)
            return
        kept = self.unit(2 + node.row) if self.up == "transpose" else self.last.channels
        kernel = self.up_kernel if self.up == "transpose" else 0
        self.add(f"{node.name}_up", self.up, (self.last.name,), kept, node.row, node.name, kernel)
        parts = (self.last.name, *(tips[skip] for skip in below[1:]))
        joined = tuple(map(sum, zip(*(self.written[part].channels for part in parts), strict=True)))
        self.add(f"{node.name}_concat", "concat", parts, joined, node.row, node.name)

    def body(self, node: Node) -> None:
        """The two units of a node."""
        block = self.block if node.column == 0 else self.decoder_block or self.block
        width = self.unit(2 + node.row)
        for step in (1, 2):
            if step == 2 and self.dropout:
                self.chain(f"{node.name}_dropout", "dropout", node.name)
            # Rectifying the raw image would throw half of a standardised one away.
            first = node == (0, 0) and step == 1
            if block == "preact" and not first:
                self.norm_act(node.name, str(step))
            self.chain(f"{node.name}_conv{step}", "conv", node.name, width, CONV_KERNEL)
            if block == "conv":
                self.norm_act(node.name, str(step))

    def norm_act(self, part: str, step: str = "") -> None:
        """Normalisation, if any, and activation."""
        if self.norm != "none":
            self.chain(f"{part}_norm{step}", self.norm, part)
        self.chain(f"{part}_act{step}", "activation", part)

    def finish(self, level: int) -> None:
        """The head of a level."""
        name = head_name(level)
        if self.head == "preact":
            self.norm_act(name)
        self.chain(f"{name}_conv", "conv", name, self.unit(1), self.head_kernel)
        self.chain(name, "output", name)
