"""The layers of a network as named rows, in building order, with no Keras in it.

`graph` turns each row into one Keras layer; `cost` counts each row; pruning keeps the rows that one head needs.
Channel counts are linear forms over the variables (1, input channels, classes, filters of row 0, 1, .., channels of the
backbone's taps), so that Specs which differ only in widths share one plan.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter, mul
from typing import NamedTuple

from keras_unetpp.errors import InputError
from keras_unetpp.spec import topology as topologies
from keras_unetpp.spec.backbones import Tap, backbone
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.topology import Node

Form = tuple[int, ...]
Level = int | str | None

IMAGE, NORMALIZATION = "image", "normalization"
MEAN = "mean"
CONV_KERNEL = 3
ONE, CHANNELS, CLASSES, FILTERS = range(4)
"""Where the variables of a linear form stand; from FILTERS on, one a row."""


class Row(NamedTuple):
    """One layer, or what a tap adds of a backbone: its name, what it is, whose outputs it reads and what it gives."""

    name: str
    kind: str
    reads: tuple[str, ...]
    channels: Form
    resolution: int
    part: str
    kernel: int = 0
    tap: Tap | None = None


def head_name(level: int) -> str:
    """Name of the last layer of a level's head and of its output: `L1`, `L2`, .."""
    return f"L{level}"


def variables(spec: Spec) -> Form:
    """Values of the variables of a linear form, in their order."""
    values = (1, spec.channels, spec.classes, *spec.filters)
    return values if spec.backbone is None else (*values, *(tap.channels for tap in spec.taps))


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
    *("topology", "depth", "levels", "block", "decoder_block", "norm", "up", "up_kernel", "backbone", "stem"),
    *("normalization", "head", "head_kernel"),
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


def lowest(structure: tuple) -> int:
    """The resolution of the lowest row of a structure: every side is a multiple of 2 to it."""
    return max(row.resolution for row in rows_of(structure, None))


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
    backbone: str | None
    stem: bool
    normalization: str
    head: str
    head_kernel: int
    dropout: bool

    def __post_init__(self) -> None:
        taps = () if self.backbone is None else backbone(self.backbone).taps
        self.shift = 0 if self.stem else taps[0].row
        self.taps = {row: tap for tap in taps if (row := tap.row - self.shift) <= self.depth}
        self.widths = FILTERS + self.depth + (self.depth not in self.taps)
        self.written: dict[str, Row] = {}

    def rows(self) -> list[Row]:
        """All rows: the image, its normalisation, every node, every head as soon as its node is there."""
        self.add(IMAGE, "input", (), self.unit(CHANNELS), 0, IMAGE)
        self.normalize()
        source = self.last.name
        tips: dict[Node, str] = {}
        for node in topologies.nodes(self.topology, self.depth):
            if node.column == 0 and node.row in self.taps:
                self.encode(node, tips, source)
            else:
                self.gather(node, tips, source)
                self.body(node)
            tips[node] = self.last.name
            if node.row == 0 and node.column in self.levels:
                self.finish(node.column)
        return list(self.written.values())

    def unit(self, variable: int) -> Form:
        """The linear form that is one variable."""
        return tuple(int(position == variable) for position in range(self.widths + len(self.taps)))

    def add(self, name: str, kind: str, reads: tuple[str, ...], channels: Form, resolution: int, part: str,
            kernel: int = 0, tap: Tap | None = None) -> None:  # fmt: skip
        """Write one row."""
        self.last = self.written[name] = Row(name, kind, reads, channels, resolution, part, kernel, tap)

    def chain(self, name: str, kind: str, part: str, channels: Form | None = None, kernel: int = 0) -> None:
        """Write a row that reads the last one, at its resolution."""
        self.add(name, kind, (self.last.name,), channels or self.last.channels, self.last.resolution, part, kernel)

    def normalize(self) -> None:
        """The pixels, as the Spec wants them; a backbone's own range is the way it was trained."""
        auto = self.normalization == "auto"
        kind = ("rescale" if self.backbone is None else "affine") if auto else self.normalization
        if kind != "none":
            self.chain(NORMALIZATION, kind, IMAGE)
        if kind == "standardize" and self.backbone is not None:
            self.chain(f"{NORMALIZATION}_affine", "affine", IMAGE)

    def encode(self, node: Node, tips: dict[Node, str], source: str) -> None:
        """The part of the backbone that this row adds to the one above."""
        above = node.row - 1
        reads = tips[Node(above, 0)] if above in self.taps else source
        channels = self.unit(self.widths + list(self.taps).index(node.row))
        tap = self.taps[node.row]
        self.add(f"{node.name}_backbone", "backbone", (reads,), channels, node.row + self.shift, node.name, tap=tap)

    def gather(self, node: Node, tips: dict[Node, str], source: str) -> None:
        """Bring what the node reads to its resolution and join it."""
        below = topologies.reads(self.topology, node)
        if not below:
            self.last = self.written[source]
            return
        self.last = self.written[tips[below[0]]]
        resolution = node.row + self.shift
        if node.column == 0:
            self.add(f"{node.name}_pool", "max_pool", (self.last.name,), self.last.channels, resolution, node.name)
            return
        kept = self.unit(FILTERS + node.row) if self.up == "transpose" else self.last.channels
        kernel = self.up_kernel if self.up == "transpose" else 0
        self.add(f"{node.name}_up", self.up, (self.last.name,), kept, resolution, node.name, kernel)
        parts = (self.last.name, *(tips[skip] for skip in below[1:]))
        joined = tuple(map(sum, zip(*(self.written[part].channels for part in parts), strict=True)))
        self.add(f"{node.name}_concat", "concat", parts, joined, resolution, node.name)

    def body(self, node: Node) -> None:
        """The two units of a node."""
        block = self.block if node.column == 0 else self.decoder_block or self.block
        width = self.unit(FILTERS + node.row)
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
        """The head of a level, up-sampled where row 0 is not at full resolution."""
        name = head_name(level)
        if self.head == "preact":
            self.norm_act(name)
        self.chain(f"{name}_conv", "conv", name, self.unit(CLASSES), self.head_kernel)
        kind = "nearest" if self.up == "nearest" else "bilinear"
        for step in range(1, self.shift + 1):
            self.add(f"{name}_up{step}", kind, (self.last.name,), self.last.channels, self.shift - step, name)
        self.chain(name, "output", name)
