"""VGG-11 and VGG-13, which `keras.applications` lacks (Simonyan & Zisserman, arXiv:1409.1556, networks A and B)."""

import keras
from keras import layers

from keras_unetpp.kit.errors import InputError

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2)}
"""Convolutions of each block."""
WIDTHS = (64, 128, 256, 512, 512)


def vgg(depth: int) -> keras.Model:
    """VGG without its classifier as a functional model of stock layers, named as in `keras.applications`.

    Input: float (batch, height, width, 3), sides of any size. Output: (batch, height / 32, width / 32, 512).

    Args:
        depth: 11 or 13.

    Raises:
        InputError: for another depth.
    """
    if depth not in CONVOLUTIONS:
        raise InputError(f"depth must be {' or '.join(map(str, CONVOLUTIONS))}. Received: {depth!r}.")
    image = x = keras.Input((None, None, 3), name="image")
    for block, (count, width) in enumerate(zip(CONVOLUTIONS[depth], WIDTHS, strict=True), 1):
        for step in range(1, count + 1):
            x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"block{block}_conv{step}")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return keras.Model(image, x, name=f"vgg{depth}")
