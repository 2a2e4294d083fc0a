"""What blocks write: each of these is the `write` of a row of `designs.BLOCKS`."""

from keras_unetpp.spec.forms import Form, scaled
from keras_unetpp.spec.ops import Add, Conv
from keras_unetpp.spec.rows import Writer

CONV_KERNEL = 3
EXPANSION = 6
"""Of an inverted block: channels of its depthwise convolution, over those that it is given."""

DENSE_LAYERS = 4


def conv(writer: Writer, width: Form) -> None:
    """(convolution, normalisation, activation) twice."""
    for step in ("1", "2"):
        if step == "2":
            writer.dropout()
        writer.add(f"conv{step}", Conv(CONV_KERNEL), width=width)
        writer.norm_act(step)


def preact(writer: Writer, width: Form) -> None:
    """(normalisation, activation, convolution) twice."""
    for step in ("1", "2"):
        if step == "2":
            writer.dropout()
        # Rectifying the raw image would throw half of a standardised one away.
        if not writer.reads_image:
            writer.norm_act(step)
        writer.add(f"conv{step}", Conv(CONV_KERNEL), width=width)


def residual(writer: Writer, width: Form) -> None:
    """As `conv`, with what it is given added before the last activation."""
    given = writer.tip
    writer.add("conv1", Conv(CONV_KERNEL), width=width)
    writer.norm_act("1")
    writer.dropout()
    writer.add("conv2", Conv(CONV_KERNEL), width=width)
    _shortcut(writer, given, writer.norm("2"), width)
    writer.act("2")


def separable(writer: Writer, width: Form) -> None:
    """(depthwise convolution, convolution of kernel 1, normalisation, activation) twice."""
    for step in ("1", "2"):
        if step == "2":
            writer.dropout()
        writer.add(f"depthwise{step}", Conv(CONV_KERNEL, depthwise=True, bias=False))
        writer.add(f"conv{step}", Conv(1), width=width)
        writer.norm_act(step)


def inverted(writer: Writer, width: Form) -> None:
    """(convolution of kernel 1 to many channels, depthwise convolution, one of kernel 1 to few), and the sum."""
    _from_image(writer, width)
    given = writer.tip
    wide = scaled(writer.channels(given), EXPANSION)
    writer.add("expand", Conv(1), width=wide)
    writer.norm_act("_expand")
    writer.add("depthwise", Conv(CONV_KERNEL, depthwise=True))
    writer.norm_act("_depthwise")
    writer.dropout()
    writer.add("project", Conv(1), width=width)
    made = writer.norm("_project")
    if writer.channels(given) == width:
        writer.add("add", Add(), [made, given])


def _from_image(writer: Writer, width: Form) -> None:
    """A first convolution, as these networks begin with, where the image itself would be read."""
    if writer.reads_image:
        writer.add("conv0", Conv(CONV_KERNEL), width=width)
        writer.norm_act("0")


def _shortcut(writer: Writer, given: str, made: str, width: Form) -> None:
    """Add what a block was given, brought to the node's width where need be."""
    if writer.channels(given) != width:
        writer.add("shortcut", Conv(1), [given], width)
        given = writer.norm("_shortcut")
    writer.add("add", Add(), [made, given])
