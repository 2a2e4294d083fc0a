"""EfficientNet-Lite0..4: EfficientNet for phones, without squeeze-excitation and with ReLU6.

Source: Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; TensorFlow
blog, "Higher accuracy on vision models with EfficientNet-Lite", March 2020. Stochastic depth is left out.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_unetpp.kit.errors import InputError

STEM, TOP = 32, 1280
"""Channels of the first and of the last convolution, in every variant."""

EPSILON = 1e-3
"""Of the batch norms."""


@dataclass(frozen=True)
class Variant:
    """How a variant scales the stages.

    Attributes:
        width: factor of channels.
        depth: factor of blocks, for all stages but the first and the last.
        side: of the images it was trained on, in pixels.
        params: millions of parameters with the classifier of 1000 classes, as published.
    """

    width: float
    depth: float
    side: int
    params: float


VARIANTS = (
    Variant(1.0, 1.0, 224, 4.7),
    Variant(1.0, 1.1, 240, 5.4),
    Variant(1.1, 1.2, 260, 6.1),
    Variant(1.2, 1.4, 280, 8.2),
    Variant(1.4, 1.8, 300, 13.0),
)
"""Lite0..Lite4."""

_STAGES = (  # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
"""Lite0, which is EfficientNet-B0 without squeeze-excitation: table 1 of the paper."""


@dataclass(frozen=True)
class Block:
    """One inverted bottleneck: widen, filter each channel, narrow.

    Attributes:
        name: such as `block2b`: stage and letter.
        kernel: side of the depthwise convolution, in pixels.
        stride: of that convolution.
        inputs: channels that come in.
        wide: channels inside; equal to `inputs`: it does not widen.
        outputs: channels that go out.
        reduction: input pixels per output pixel, along a side.
        last: of its resolution, so that it is a tap.
    """

    name: str
    kernel: int
    stride: int
    inputs: int
    wide: int
    outputs: int
    reduction: int
    last: bool

    @property
    def adds(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def output(self) -> str:
        """The name of the layer that gives its output."""
        return f"{self.name}_{'add' if self.adds else 'project_bn'}"


def variant(number: int) -> Variant:
    """The variant of a number.

    Raises:
        InputError: for another number than 0..4.
    """
    if number not in range(len(VARIANTS)):
        raise InputError(f"EfficientNet-Lite has the numbers 0..{len(VARIANTS) - 1}. Received: {number!r}.")
    return VARIANTS[number]


def blocks(number: int) -> Iterator[Block]:
    """The blocks of EfficientNet-Lite `number`, from the stem down.

    >>> [block.output for block in blocks(0) if block.last]
    ['block1a_project_bn', 'block2b_add', 'block3b_add', 'block5c_add', 'block7a_project_bn']
    """
    scale = variant(number)
    inputs, reduction = STEM, 2
    for index, (kernel, stride, expansion, channels, count) in enumerate(_STAGES):
        outer = index in (0, len(_STAGES) - 1)
        count = count if outer else math.ceil(scale.depth * count)
        keeps = not outer and _STAGES[index + 1][1] == 1
        outputs = _rounded(channels * scale.width)
        for place in range(count):
            step = 1 if place else stride
            reduction *= step
            last = place == count - 1 and not keeps
            name = f"block{index + 1}{chr(ord('a') + place)}"
            yield Block(name, kernel, step, inputs, inputs * expansion, outputs, reduction, last)
            inputs = outputs


def efficientnet_lite(number: int, *, classes: int | None = None) -> keras.Model:
    """EfficientNet-Lite as a functional model of stock layers, named as in `keras.applications`.

    Input: float (batch, height, width, 3), sides of any size, pixels already scaled as the table of backbones says.
    Output: (batch, height / 32, width / 32, 1280), sides rounded up; or, with classes, logits (batch, classes).
    The features at reductions 2, 4, .. 32 are the outputs of those `blocks` that are `last`.

    Args:
        number: 0..4.
        classes: of a classifier on top; None: no classifier.

    Raises:
        InputError: for another number.
    """
    image = x = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(STEM, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(x)
    x = _normalised(x, "stem_bn", "stem_activation")
    for block in blocks(number):
        x = _bottleneck(x, block)
    x = layers.Conv2D(TOP, 1, use_bias=False, name="top_conv")(x)
    x = _normalised(x, "top_bn", "top_activation")
    if classes is not None:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(classes, name="predictions")(x)
    return keras.Model(image, x, name=f"efficientnet_lite{number}")


def _bottleneck(source: Any, block: Block) -> Any:
    x, name = source, block.name
    if block.wide != block.inputs:
        x = layers.Conv2D(block.wide, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _normalised(x, f"{name}_expand_bn", f"{name}_expand_activation")
    x = layers.DepthwiseConv2D(
        block.kernel, strides=block.stride, padding="same", use_bias=False, name=f"{name}_dwconv"
    )(x)
    x = _normalised(x, f"{name}_bn", f"{name}_activation")
    x = layers.Conv2D(block.outputs, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _normalised(x, f"{name}_project_bn")
    return layers.Add(name=f"{name}_add")([x, source]) if block.adds else x


def _normalised(x: Any, norm: str, activation: str | None = None) -> Any:
    x = layers.BatchNormalization(epsilon=EPSILON, name=norm)(x)
    return layers.ReLU(6.0, name=activation)(x) if activation else x


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, or the next if that takes more than a tenth away."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near
