"""What blocks write: each of these is the `write` of a row of `designs.BLOCKS`."""

from typing import Any

from keras_unetpp.spec.attention import attend
from keras_unetpp.spec.forms import Form, constant, scaled
from keras_unetpp.spec.ops import Add, Concat, Conv
from keras_unetpp.spec.rows import Writer

CONV_KERNEL = 3
"""Of convolutions over pixels, unless the Spec says otherwise of the row."""

EXPANSION = 6
"""Of an inverted block: channels of its depthwise convolution, over those that it is given."""


def conv(writer: Writer, width: Form) -> None:
    """(convolution, normalisation, activation) twice."""
    steps = writer.steps(2)
    for step in steps:
        if step == steps[-1]:
            writer.dropout()
        _wide(writer, f"conv{step}", width)
        writer.norm_act(f"{step}")


def preact(writer: Writer, width: Form) -> None:
    """(normalisation, activation, convolution) twice."""
    steps = writer.steps(2)
    for step in steps:
        last = step == steps[-1]
        if last:
            writer.dropout()
        # Rectifying the raw image would throw half of a standardised one away.
        if not writer.reads_image:
            writer.norm_act(f"{step}")
        if last:
            writer.add(f"conv{step}", Conv(writer.kernel(CONV_KERNEL), dilation=writer.dilation), width=width)
        else:
            _wide(writer, f"conv{step}", width)


def residual(writer: Writer, width: Form) -> None:
    """As `conv`, with what it is given added before the last activation."""
    given, steps = writer.tip, writer.steps(2)
    for step in steps[:-1]:
        _wide(writer, f"conv{step}", width)
        writer.norm_act(f"{step}")
    writer.dropout()
    _wide(writer, f"conv{steps[-1]}", width)
    _sum(writer, given, f"{steps[-1]}", "", width)


def separable(writer: Writer, width: Form) -> None:
    """(depthwise convolution, convolution of kernel 1, normalisation, activation) twice."""
    steps = writer.steps(2)
    for step in steps:
        if step == steps[-1]:
            writer.dropout()
        kernel, dilation = writer.kernel(CONV_KERNEL), writer.dilation
        writer.add(f"depthwise{step}", Conv(kernel, dilation=dilation, depthwise=True, bias=False))
        writer.normed_conv(f"conv{step}", 1, width)
        writer.norm_act(f"{step}")


def inverted(writer: Writer, width: Form) -> None:
    """Convolution of kernel 1 to many channels, depthwise convolution, one of kernel 1 to few; the sum if it can be."""
    _from_image(writer, width)
    steps = writer.steps(1)
    for step in steps:
        given = writer.tip
        writer.normed_conv(f"expand{step}", 1, scaled(writer.channels(given), EXPANSION))
        writer.norm_act(f"_expand{step}")
        _wide(writer, f"depthwise{step}", width, depthwise=True)
        writer.norm_act(f"_depthwise{step}")
        if step == steps[-1]:
            writer.dropout()
        writer.normed_conv(f"project{step}", 1, width)
        writer.norm(f"_project{step}")
        attend(writer, f"{step}")
        if writer.channels(given) == width:
            writer.add(f"add{step}", Add(), [writer.tip, given])


def dense(writer: Writer, width: Form) -> None:
    """(normalisation, activation, convolution to a few channels) four times, each of all before; then to the width."""
    _from_image(writer, width)
    growth = constant(writer.chosen.growth_rate, width)
    for step in writer.steps(4):
        before = writer.tip
        writer.norm_act(f"{step}")
        _wide(writer, f"conv{step}", growth)
        writer.dropout(f"{step}")
        writer.add(f"concat{step}", Concat(), [before, writer.tip])
    writer.norm_act("_project")
    writer.add("project", Conv(1), width=width)


def grouped(writer: Writer, width: Form) -> None:
    """Convolutions of kernel 1, in groups of channels, of kernel 1; the sum with what they are given, activation."""
    _from_image(writer, width)
    steps = writer.steps(1)
    for step in steps:
        given = writer.tip
        writer.normed_conv(f"reduce{step}", 1, width)
        writer.norm_act(f"_reduce{step}")
        if step == steps[-1]:
            writer.dropout()
        _wide(writer, f"grouped{step}", width, groups=writer.chosen.cardinality)
        writer.norm_act(f"_grouped{step}")
        writer.normed_conv(f"expand{step}", 1, width)
        _sum(writer, given, f"_expand{step}", f"{step}", width)


def _wide(writer: Writer, label: str, width: Form, **more: Any) -> None:
    """A convolution of the kernel and the dilation of the row, which a normalisation follows."""
    writer.normed_conv(label, writer.kernel(CONV_KERNEL), width, dilation=writer.dilation, **more)


def passed(writer: Writer, width: Form) -> None:
    """Nothing, but for a convolution of kernel 1 where the width would be another."""
    if writer.channels(writer.tip) != width:
        writer.add("fit", Conv(1), width=width)


def residual_path(writer: Writer, skip: str, label: str, width: Form) -> str:
    """A skip through convolutions, each added to one of kernel 1: as many as columns are crossed; the last row's name.

    In a network of one decoder these are as many as the row is far from the lowest.
    """
    for step in range(1, writer.at_column + 1):
        _wide(writer, f"{label}_conv{step}", width, reads=[skip])
        writer.norm_act(f"_{label}_{step}")
        made = writer.tip
        writer.normed_conv(f"{label}_shortcut{step}", 1, width, [skip])
        writer.add(f"{label}_add{step}", Add(), [made, writer.norm(f"_{label}_shortcut{step}")])
        writer.act(f"_{label}_add{step}")
        skip = writer.tip
    return skip


def _from_image(writer: Writer, width: Form) -> None:
    """A first convolution, as these networks begin with, where the image itself would be read."""
    if writer.reads_image:
        _wide(writer, "conv0", width)
        writer.norm_act("0")


def _sum(writer: Writer, given: str, norm: str, step: str, width: Form) -> None:
    """Normalise, attend, add what the block was given, brought to the node's width where need be, and activate."""
    writer.norm(norm)
    attend(writer, step)
    made = writer.tip
    if writer.channels(given) != width:
        writer.normed_conv(f"shortcut{step}", 1, width, [given])
        given = writer.norm(f"_shortcut{step}")
    writer.add(f"add{step}", Add(), [made, given])
    writer.act(norm)
