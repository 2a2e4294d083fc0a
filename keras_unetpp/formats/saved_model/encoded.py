"""Encoded images in and PNG masks out, inside the graph: what a web server passes on without touching a pixel."""

from collections.abc import Callable
from typing import Any

from keras_unetpp.formats.functions import to_mask
from keras_unetpp.formats.saved_model.decoding import decoder
from keras_unetpp.formats.signature import Signature

MASK = "mask_bytes"
"""TensorFlow Serving's REST answers give outputs with this ending in base64; other texts they would damage."""


def of_encoded(function: Callable[[Any], Any], signature: Signature) -> Callable[[Any], dict[str, Any]]:
    """A level from encoded images of any sizes, one after the other.

    Args:
        function: from (1, height, width, channels) to `logits` if these are what is asked for, else `probabilities`.
        signature: what is asked for.

    Returns:
        A function of `image`, (batch,) texts, to `mask_bytes`, (batch,) PNG of class numbers, unless there are over
        256 classes or they do not exclude each other; `probabilities` or `logits` if asked for; `mask` if asked for
        and there is no PNG; and `sides`, (batch, 2), each image's height and width. What is no text is padded with
        zeros at the bottom and right to the largest image.
    """
    import tensorflow as tf

    values = "logits" if signature.output == "logits" else "probabilities"
    as_png = signature.classes == 1 or (signature.activation == "softmax" and signature.classes <= 256)
    whole = tf.uint16 if signature.exclusive and signature.classes > 256 else tf.uint8
    dense = whole if signature.output == "mask" else tf.float32
    ids = signature.output == "mask" and signature.exclusive
    kinds = {signature.output: tf.TensorSpec((None, None) if ids else (None, None, signature.classes), dense)}
    if as_png:
        kinds = {name: kind for name, kind in kinds.items() if name != "mask"} | {MASK: tf.TensorSpec((), tf.string)}

    sides_of, decoded = decoder(signature)

    def run(image: Any) -> dict[str, Any]:
        sides = tf.map_fn(sides_of, image, fn_output_signature=tf.TensorSpec((2,), tf.int32))
        most = tf.reduce_max(tf.concat([sides, [[0, 0]]], 0), 0)

        def one(text: Any) -> dict[str, Any]:
            pixels = decoded(text)
            result = function(pixels[None])[values][0]
            mask = to_mask(_as_probabilities(result, signature), signature)
            if MASK not in kinds and signature.output == "mask":
                result = mask
            missing = most - tf.shape(pixels)[:2]
            more = [[0, missing[0]], [0, missing[1]], [0, 0]]
            outputs = {signature.output: tf.pad(result, more[: result.shape.rank])}
            if MASK in kinds:
                outputs[MASK] = tf.io.encode_png(mask[..., None])
            return {name: outputs[name] for name in kinds}

        return {**tf.map_fn(one, image, fn_output_signature=kinds), "sides": sides}

    return run


def _as_probabilities(values: Any, signature: Signature) -> Any:
    """Probabilities, or logits changed so that they have the same mask."""
    shifted = signature.output == "logits" and signature.activation == "sigmoid"
    return values + 0.5 if shifted else values  # a logit above 0 is a probability above 0.5
