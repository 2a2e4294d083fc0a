"""Rows of a plan, and the writer through which the tables of design choices write them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from keras_unetpp.spec.activations import LeakyRelu, Slope
from keras_unetpp.spec.facts import Operation, Sides
from keras_unetpp.spec.forms import Form
from keras_unetpp.spec.geometry import ByAxis, ByRow, at, joined
from keras_unetpp.spec.names import layer_name
from keras_unetpp.spec.norms import ACTIVATIONS, NORMS
from keras_unetpp.spec.ops import Add, Conv, Dropout, Maximum

IMAGE = "image"
"""The part of a network that is its input and the normalisation of the pixels."""


class Row(NamedTuple):
    """One layer, or what a tap adds of a backbone.

    Attributes:
        name: of the layer, and of its output. Of several outputs the second is called `name:1`, and so on.
        kind: what its operation is called.
        reads: names of the outputs that it reads.
        channels: of its output, or of the first of several.
        halvings: how often each axis of its outputs was halved; of fixed sides, of what was pooled.
        part: the node or head that it belongs to.
        operation: what it does.
        more: channels of the outputs after the first.
        fixed: side of its outputs where it is the same for any image; 0: it grows.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    channels: Form
    halvings: Sides
    part: str
    operation: Operation
    more: tuple[Form, ...] = ()
    fixed: int = 0

    @property
    def resolution(self) -> int:
        """How often the axis that was halved most was halved."""
        return max(self.halvings)

    @property
    def kernel(self) -> ByAxis:
        """Side of its kernel, or one for each axis; 0 without one."""
        return getattr(self.operation, "kernel", 0)

    @property
    def outputs(self) -> dict[str, Form]:
        """Name and channels of each output."""
        return {self.name: self.channels, **{f"{self.name}:{at}": form for at, form in enumerate(self.more, 1)}}

    def cells(self, lowest: int) -> int:
        """Pixels for one of a row whose axes were halved `lowest` times in all; of fixed sides, for an image."""
        return self.fixed ** len(self.halvings) or 2 ** (lowest - sum(self.halvings))


def row_name(output: str) -> str:
    """The name of the row that makes an output."""
    return output.partition(":")[0]


class Structure(NamedTuple):
    """All of a Spec that its plan depends on: the fields of these names. Specs that differ in widths alone share it.

    Of the last two fields it is whether the Spec has any.
    """

    rank: int
    topology: str
    depth: int
    levels: tuple[int, ...]
    block: str
    decoder_block: str | None
    block_layers: tuple[int, ...]
    strides: ByRow
    kernels: ByRow
    dilations: tuple[int, ...]
    growth_rate: int
    cardinality: int
    attention: str
    squeeze_ratio: int
    context: str
    bias: bool
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
    decoder_filters: bool


class Writer:
    """Writes rows one after the other, each reading the one before unless told otherwise.

    Attributes:
        chosen: of the Spec.
        part: the node or head that is being written.
        at_row: of the node.
        at_column: of the node.
        tip: name of the row that the next one reads; empty before the first.
        rows: all, by name.
    """

    def __init__(self, chosen: Structure, rows: Iterable[Row] = ()) -> None:
        self.chosen = chosen
        self.part, self.at_row, self.at_column = IMAGE, 0, 0
        self.rows = {row.name: row for row in rows}
        self.tip = ""

    def begin(self, part: str, after: str, at_row: int = 0, at_column: int = 0) -> None:
        """Go on with another part, from the row of that name."""
        self.part, self.tip, self.at_row, self.at_column = part, after, at_row, at_column

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
        read = [self.rows[row_name(source)] for source in sources]
        first, *more = operation.channels([self.channels(source) for source in sources], width)
        halvings, fixed = (
            operation.halvings([row.halvings for row in read]),
            operation.fixed([row.fixed for row in read]),
        )
        self.rows[name] = Row(name, operation.kind, sources, first, halvings, self.part, operation, tuple(more), fixed)
        self.tip = name
        return name

    def channels(self, output: str) -> Form:
        """Of an output that was written."""
        return self.rows[row_name(output)].outputs[output]

    @property
    def reads_image(self) -> bool:
        """Whether the next row would read the pixels of the image."""
        return self.rows[self.tip].part == IMAGE

    def steps(self, usual: int) -> range:
        """Numbers of the layers of a block, from 1 on: as many as the Spec has in this row, or else the usual."""
        return range(1, at(self.chosen.block_layers, self.at_row, usual) + 1)

    def kernel(self, usual: int) -> ByAxis:
        """Side of the convolutions of a block, or one an axis, as the Spec has it in this row, or else the usual."""
        return joined(at(self.chosen.kernels, self.at_row, usual))

    @property
    def dilation(self) -> int:
        """Step between the pixels of the kernels of a block, as the Spec has it in this row."""
        return int(at(self.chosen.dilations, self.at_row, 1))

    def normed_conv(self, label: str, kernel: ByAxis, width: Form, reads: Sequence[str] = (), **more: Any) -> str:
        """A convolution that a normalisation follows, if the Spec has one; with a bias unless it says otherwise."""
        bias = self.chosen.bias or NORMS[self.chosen.norm].operation is None
        return self.add(label, Conv(kernel, bias=bias, **more), reads, width)

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
        operation, given = ACTIVATIONS[self.chosen.activation].operation, self.tip
        if isinstance(operation, LeakyRelu) and isinstance(self.rows[given].operation, Add):
            # TensorFlow 2.21 on CPU joins convolution, sum and leaky ReLU into one, and forgets the slope.
            below = self.add(f"act{step}_below", Slope())
            self.add(f"act{step}", Maximum(), [given, below])
        elif operation is not None:
            self.add(f"act{step}", operation)

    def dropout(self, step: str = "") -> None:
        """Dropout, if the Spec has it; not of the image."""
        if self.chosen.dropout and not self.reads_image:
            self.add(f"dropout{step}", Dropout())
