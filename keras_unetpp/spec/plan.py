"""The layers of a network as named rows, in building order, with no Keras in it.

`graph` turns each row into one Keras layer; `cost` counts each row; pruning keeps the rows that one head needs. Which
nodes there are `topology` says, and what stands in them the tables of `designs`.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter

from keras_unetpp.spec import topology as topologies
from keras_unetpp.spec.attention import attend
from keras_unetpp.spec.backbones import backbone
from keras_unetpp.spec.choices import remembered
from keras_unetpp.spec.context import CONTEXTS
from keras_unetpp.spec.designs import BLOCKS, DOWNS, HEADS, PIXELS
from keras_unetpp.spec.facts import Sides
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.forms import CHANNELS, CLASSES, FILTERS, Form
from keras_unetpp.spec.geometry import halvings
from keras_unetpp.spec.level import MEAN, Level, check_asked
from keras_unetpp.spec.merges import MERGES
from keras_unetpp.spec.names import head_name, up_label
from keras_unetpp.spec.ops import Average, Backbone, Conv, Input, Output
from keras_unetpp.spec.rows import IMAGE, Row, Structure, Writer, row_name
from keras_unetpp.spec.topology import Node
from keras_unetpp.spec.ups import UPS


def variables(spec: Spec) -> Form:
    """Values of the variables of a linear form, in their order."""
    values = (1, spec.channels, spec.classes, *spec.filters, *spec.decoder_filters)
    return values if spec.backbone is None else (*values, *(tap.channels for tap in spec.taps))


def plan(spec: Spec, level: Level = None) -> tuple[Row, ...]:
    """The rows of the whole network (`level` None), of one level with its head, or of `"mean"`, the heads' average.

    Raises:
        InputError: if the network has no head for that level.
    """
    return rows_of(structure(spec), check_level(spec, level))


def check_level(spec: Spec, level: Level) -> Level:
    """`level` itself if the network has a head for it, else an `InputError` naming those it has."""
    return None if level is None else check_asked(level, "This network has heads for", spec.levels)


_fields: Callable[[Spec], tuple] = attrgetter(*Structure._fields[:-2])


def structure(spec: Spec) -> tuple:
    """The values of `Structure`; as a plain tuple, which is sooner made."""
    return (*_fields(spec), spec.dropout > 0, spec.decoder_filters != ())


@remembered(1024)
def rows_of(structure: tuple, level: Level) -> tuple[Row, ...]:
    """The plan of a structure; `plan` is the checked way in."""
    chosen = Structure(*structure)
    if level is None:
        return keep(tuple(_Planner(chosen).rows()), map(head_name, chosen.levels))
    rows = rows_of(structure, None)
    if level == MEAN:
        writer = Writer(chosen, rows)
        writer.part = MEAN
        writer.put(MEAN, Average(), [row.name for row in rows if isinstance(row.operation, Output)])
        return tuple(writer.rows.values())
    return keep(rows, (head_name(int(level)),))


def lowest(structure: tuple) -> Sides:
    """How often each axis is halved in the lowest row of a structure: its side is a multiple of 2 to that."""
    return tuple(map(max, zip(*(row.halvings for row in rows_of(structure, None)), strict=True)))


def keep(rows: tuple[Row, ...], outputs: Iterable[str]) -> tuple[Row, ...]:
    """The rows that the named outputs depend on, in their order."""
    wanted = set(map(row_name, outputs))
    for row in reversed(rows):
        if row.name in wanted:
            wanted.update(map(row_name, row.reads))
    return tuple(row for row in rows if row.name in wanted)


class _Planner:
    """Walks the nodes of one structure and has the tables write them."""

    def __init__(self, chosen: Structure) -> None:
        taps = () if chosen.backbone is None else backbone(chosen.backbone).taps
        self.chosen = chosen
        self.shift = 0 if chosen.stem else taps[0].row
        self.taps = {row: tap for tap in taps if (row := tap.row - self.shift) <= chosen.depth}
        filters = FILTERS + chosen.depth + (chosen.depth not in self.taps)
        self.decoder = filters if chosen.decoder_filters else FILTERS
        self.widths = filters + chosen.depth * chosen.decoder_filters
        self.writer = Writer(chosen)
        self.tips: dict[Node, str] = {}

    def rows(self) -> Iterable[Row]:
        """All rows: the image, its normalisation, every node, every head as soon as its node is there."""
        self.writer.put(IMAGE, Input(self.chosen.rank), width=self.unit(CHANNELS))
        PIXELS[self.chosen.normalization].write(self.writer)
        source = self.writer.tip
        for node in topologies.nodes(self.chosen.topology, self.chosen.depth):
            others = topologies.reads(self.chosen.topology, node)
            reads = [self.tips[other] for other in others] or [source]
            if node.column == 0 and node.row in self.taps:
                self.encode(node, reads[0] if node.row - 1 in self.taps else source)
            else:
                self.writer.begin(node.name, reads[0], *node)
                self.gather(node, reads, others[0].row if others else 0)
                block = self.chosen.block if node.column == 0 else self.chosen.decoder_block or self.chosen.block
                BLOCKS[block].write(self.writer, self.width(node))
                if not BLOCKS[block].attends:
                    attend(self.writer)
            if node.row == self.chosen.depth:
                CONTEXTS[self.chosen.context].write(self.writer, self.writer.channels(self.writer.tip))
            self.tips[node] = self.at(self.halvings(node.row))
            if node.row == 0 and node.column in self.chosen.levels:
                self.finish(node.column)
        return self.writer.rows.values()

    def unit(self, variable: int) -> Form:
        """The linear form that is one variable."""
        return tuple(int(position == variable) for position in range(self.widths + len(self.taps)))

    def width(self, node: Node) -> Form:
        """The filters of a node."""
        return self.unit((self.decoder if node.column else FILTERS) + node.row)

    def halvings(self, row: int) -> Sides:
        """How often each axis of a row was halved: once more for each stride of 2 above it."""
        return tuple(self.shift + times for times in halvings(self.chosen.strides, row, self.chosen.rank))

    def strides(self, row: int, below: int) -> Sides:
        """From a row to one below, and back."""
        return tuple(2 ** (low - high) for high, low in zip(self.halvings(row), self.halvings(below), strict=True))

    def at(self, halvings: Sides) -> str:
        """The row just written, which is at that resolution."""
        last = self.writer.rows[self.writer.tip]
        if last.fixed:
            raise ValueError(f"{last.name} has fixed sides, {last.fixed}, and not those of the row.")
        if last.halvings != halvings:
            raise ValueError(f"{last.name} halves the sides {last.halvings} times, and not {halvings} times.")
        return last.name

    def encode(self, node: Node, source: str) -> None:
        """The part of the backbone that this row adds to the one above."""
        channels = self.unit(self.widths + list(self.taps).index(node.row))
        self.writer.begin(node.name, source)
        self.writer.add("backbone", Backbone(self.taps[node.row]), width=channels)

    def gather(self, node: Node, reads: list[str], first: int) -> None:
        """Bring what the node reads, the first of it out of that row, to its resolution and join it."""
        if node.column == 0:
            if node.row and max(strides := self.strides(first, node.row)) > 1:
                DOWNS[self.chosen.down].write(self.writer, strides)
            return
        self.up(self.strides(node.row, first), self.width(node))
        parts = (self.at(self.halvings(node.row)), *reads[1:])
        if len(parts) > 1:
            MERGES[self.chosen.merge].write(self.writer, parts, self.width(node))

    def up(self, strides: Sides, width: Form) -> None:
        """Bring the row below to the resolution of a row; where that stays, to its width if up-sampling would."""
        way = UPS[self.chosen.up]
        if max(strides) > 1:
            way.write(self.writer, strides, width)
        elif way.to_width:
            self.writer.add("up", Conv(1, initializer="glorot_uniform"), width=width)

    def finish(self, level: int) -> None:
        """The head of a level, up-sampled where row 0 is not at full resolution."""
        self.writer.begin(head_name(level), self.writer.tip)
        HEADS[self.chosen.head].write(self.writer, self.unit(CLASSES))
        for step in range(1, self.shift + 1):
            self.writer.add(up_label(step), UPS[self.chosen.up].of_heads((2,) * self.chosen.rank))
        self.writer.put(head_name(level), Output())
