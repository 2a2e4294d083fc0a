"""ResNet-18 and ResNet-34, which `keras.applications` lacks, with PyTorch's padding, so that its weights fit.

Source: He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_unetpp.kit.errors import InputError

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Depth -> blocks of each stage."""

STEM = 64
"""Channels of the first convolution; each stage after the first doubles them."""

EPSILON, MOMENTUM = 1e-5, 0.9
"""Of the batch norms."""


@dataclass(frozen=True)
class Block:
    """Two 3 x 3 convolutions beside a shortcut.

    Attributes:
        name: such as `conv3_block1`: stage, counted from 2, and place.
        stride: of the first convolution, and of the shortcut's.
        inputs: channels that come in.
        outputs: channels that go out; others than `inputs`: the shortcut is a 1 x 1 convolution.
        reduction: input pixels per output pixel, along a side.
        last: of its resolution, so that it is a tap.
    """

    name: str
    stride: int
    inputs: int
    outputs: int
    reduction: int
    last: bool

    @property
    def output(self) -> str:
        """The name of the layer that gives its output."""
        return f"{self.name}_out"


def blocks(depth: int) -> Iterator[Block]:
    """The blocks from the stem down. The tap at reduction 2 is the stem itself, layer `conv1_relu`.

    Raises:
        InputError: for another depth than 18 and 34.

    >>> [block.output for block in blocks(18) if block.last]
    ['conv2_block2_out', 'conv3_block2_out', 'conv4_block2_out', 'conv5_block2_out']
    """
    if depth not in BLOCKS:
        raise InputError(f"depth must be {' or '.join(map(str, BLOCKS))}. Received: {depth!r}.")
    inputs = STEM
    for stage, count in enumerate(BLOCKS[depth]):
        outputs = STEM * 2**stage
        for place in range(1, count + 1):
            stride = 2 if stage and place == 1 else 1
            yield Block(f"conv{stage + 2}_block{place}", stride, inputs, outputs, 4 * 2**stage, place == count)
            inputs = outputs


def resnet(depth: int) -> keras.Model:
    """ResNet without its classifier as a functional model of stock layers, named as in `keras.applications`.

    Input: float (batch, height, width, 3), sides of any size. Output: (batch, height / 32, width / 32, 512), sides
    rounded up. Strided convolutions pad both sides alike, as PyTorch does; TensorFlow's "same" would shift the image.

    Args:
        depth: 18 or 34.

    Raises:
        InputError: for another depth.
    """
    rows = list(blocks(depth))
    image = keras.Input((None, None, 3), name="image")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = layers.Conv2D(STEM, 7, strides=2, use_bias=False, name="conv1_conv")(x)
    x = layers.Activation("relu", name="conv1_relu")(_norm(x, "conv1_bn"))
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros are as good as none after a ReLU
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for block in rows:
        x = _basic(x, block)
    return keras.Model(image, x, name=f"resnet{depth}")


def _basic(source: Any, block: Block) -> Any:
    name, channels = block.name, block.outputs
    shortcut = x = source
    if block.inputs != channels:
        shortcut = layers.Conv2D(channels, 1, strides=block.stride, use_bias=False, name=f"{name}_0_conv")(source)
        shortcut = _norm(shortcut, f"{name}_0_bn")
    if block.stride > 1:
        x = layers.ZeroPadding2D(1, name=f"{name}_1_pad")(x)
    padding = "valid" if block.stride > 1 else "same"
    x = layers.Conv2D(channels, 3, strides=block.stride, padding=padding, use_bias=False, name=f"{name}_1_conv")(x)
    x = layers.Activation("relu", name=f"{name}_1_relu")(_norm(x, f"{name}_1_bn"))
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(x)
    x = layers.Add(name=f"{name}_add")([shortcut, _norm(x, f"{name}_2_bn")])
    return layers.Activation("relu", name=block.output)(x)


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(x)
