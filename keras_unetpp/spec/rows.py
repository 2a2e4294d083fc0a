"""Rows of a plan, and the writer through which the tables of design choices write them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from keras_unetpp.spec.facts import Operation, Sides
from keras_unetpp.spec.forms import Form
from keras_unetpp.spec.names import layer_name
from keras_unetpp.spec.norms import ACTIVATIONS, NORMS
from keras_unetpp.spec.ops import Dropout

IMAGE = "image"
"""The part of a network that is its input and the normalisation of the pixels."""


class Row(NamedTuple):
    """One layer, or what a tap adds of a backbone.

    Attributes:
        name: of the layer, and of its output. Of several outputs the second is called `name:1`, and so on.
        kind: what its operation is called.
        reads: names of the outputs that it reads.
        channels: of its output, or of the first of several.
        halvings: how often each axis of its outputs was halved.
        part: the node or head that it belongs to.
        operation: what it does.
        more: channels of the outputs after the first.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    channels: Form
    halvings: Sides
    part: str
    operation: Operation
    more: tuple[Form, ...] = ()

    @property
    def resolution(self) -> int:
        """How often the axis that was halved most was halved."""
        return max(self.halvings)

    @property
    def kernel(self) -> int:
        """Side of its kernel; 0 without one."""
        return getattr(self.operation, "kernel", 0)

    @property
    def outputs(self) -> dict[str, Form]:
        """Name and channels of each output."""
        return {self.name: self.channels, **{f"{self.name}:{at}": form for at, form in enumerate(self.more, 1)}}


def row_name(output: str) -> str:
    """The name of the row that makes an output."""
    return output.partition(":")[0]


class Structure(NamedTuple):
    """All of a Spec that its plan depends on: the fields of these names. Specs that differ in widths alone share it."""

    rank: int
    topology: str
    depth: int
    levels: tuple[int, ...]
    block: str
    decoder_block: str | None
    norm: str
    activation: str
    down: str
    up: str
    up_kernel: int
    merge: str
    backbone: str | None
    stem: bool
    normalization: str
    head: str
    head_kernel: int
    dropout: bool


class Writer:
    """Writes rows one after the other, each reading the one before unless told otherwise.

    Attributes:
        chosen: of the Spec.
        part: the node or head that is being written.
        tip: name of the row that the next one reads; empty before the first.
        rows: all, by name.
    """

    def __init__(self, chosen: Structure, rows: Iterable[Row] = ()) -> None:
        self.chosen = chosen
        self.part = IMAGE
        self.rows = {row.name: row for row in rows}
        self.tip = ""

    def begin(self, part: str, after: str) -> None:
        """Go on with another part, from the row of that name."""
        self.part, self.tip = part, after

    def add(self, label: str, operation: Operation, reads: Sequence[str] = (), width: Form | None = None) -> str:
        """Write a row that is called by its part and a label.

        Args:
            label: what tells it from the other rows of the part.
            operation: what it does.
            reads: names of outputs; empty: of the row before.
            width: channels, for an operation that can have any.

        Returns:
            The row's name.
        """
        return self.put(layer_name(self.part, label), operation, reads, width)

    def put(self, name: str, operation: Operation, reads: Sequence[str] = (), width: Form | None = None) -> str:
        """The same, of a row whose whole name is given."""
        if name in self.rows:
            raise ValueError(f"There are two rows {name}.")
        sources = tuple(reads) or ((self.tip,) if self.tip else ())
        first, *more = operation.channels([self.channels(source) for source in sources], width)
        halvings = operation.halvings([self.rows[row_name(source)].halvings for source in sources])
        self.rows[name] = Row(name, operation.kind, sources, first, halvings, self.part, operation, tuple(more))
        self.tip = name
        return name

    def channels(self, output: str) -> Form:
        """Of an output that was written."""
        return self.rows[row_name(output)].outputs[output]

    @property
    def reads_image(self) -> bool:
        """Whether the next row would read the pixels of the image."""
        return self.rows[self.tip].part == IMAGE

    def norm_act(self, step: str = "") -> None:
        """Normalisation, if any, and activation, as the Spec chose them."""
        self.norm(step)
        self.act(step)

    def norm(self, step: str = "") -> str:
        """Normalisation, if the Spec chose one; the name of the row that is then the last."""
        operation = NORMS[self.chosen.norm].operation
        return self.tip if operation is None else self.add(f"norm{step}", operation)

    def act(self, step: str = "") -> None:
        """Activation, as the Spec chose it."""
        operation = ACTIVATIONS[self.chosen.activation].operation
        if operation is not None:
            self.add(f"act{step}", operation)

    def dropout(self) -> None:
        """Dropout, if the Spec has it."""
        if self.chosen.dropout:
            self.add("dropout", Dropout())
