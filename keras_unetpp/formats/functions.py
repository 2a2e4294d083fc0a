"""What a file made from a model shall offer, checked, and the levels as plain TensorFlow functions."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_unetpp import weights
from keras_unetpp.formats.parts import parts
from keras_unetpp.formats.rebuild import network
from keras_unetpp.formats.signature import Sides, Signature
from keras_unetpp.graph.describe import Description, describe
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.geometry import ByAxis, by_axis
from keras_unetpp.spec.level import MEAN
from keras_unetpp.spec.names import asked_level

INPUTS = ("float32", "uint8", "image_bytes")
OUTPUTS = ("probabilities", "mask", "logits")
ENCODABLE = (1, 3, 4)
"""Channels that an encoded image can have."""

Functions = dict[str, Callable[[Any], dict[str, Any]]]


def signature(model: keras.Model, *, levels: Any = None, size: Any = None, input: str = "float32",
              output: str = "probabilities") -> Signature:  # fmt: skip
    """What a file made from `model` shall offer, checked before any work.

    Args:
        model: any model of this package, on Keras' TensorFlow back end.
        levels: a level or several: 1..d, "mean" for the heads' average. Default: all that the model has.
        size: sides of the images in pixels, one number or one per side, None for any; they need not be multiples of
            its divisors, since the file pads and crops. Default: those of the model.
        input: "float32" or "uint8", pixel values 0..255; "image_bytes", encoded PNG or JPEG of any size (SavedModel
            only).
        output: "probabilities"; "mask", as `segment` gives it; "logits", the values before the heads' activation.

    Raises:
        InputError: naming what does not fit: model, back end, level, size, input, output, a weight that is not finite.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Exporting needs Keras on TensorFlow. Received: back end {keras.backend.backend()!r}. Save the model,"
            " set KERAS_BACKEND=tensorflow, load it and export."
        )
    about = describe(model)
    for word, value, allowed in (("input", input, INPUTS), ("output", output, OUTPUTS)):
        if value not in allowed:
            raise InputError(f"{word} must be one of {', '.join(map(repr, allowed))}. Received: {value!r}.")
    sides, channels, activation = _sides(about, size, input), about.channels, about.activation
    if input == "image_bytes" and (channels not in ENCODABLE or len(sides) != 2):
        raise InputError(f"Encoded images are 2-D and have 1, 3 or 4 channels. Received: a model of {channels} channels"
                         f" and {len(sides)} sides. Use input='float32'.")  # fmt: skip
    logits = activation != "linear" and output == "logits"
    if activation == "linear":
        activation = "softmax" if about.exclusive else "sigmoid"
    _check_finite(model)
    normalize = about.standardization
    return Signature(
        *(_levels(about, levels, logits), sides, input, output, channels, about.classes, activation),
        divisor=about.divisor,
        divisors=() if len({*about.divisors}) == 1 else about.divisors,
        standardizes=normalize is not None,
        bytes_per_pixel=round(about.bytes_per_pixel, 1),
        rounds=input != "float32",
        **({} if normalize is None else {"epsilon": normalize.epsilon}),
        whole_views=about.whole_views,
    )


def functions(model: keras.Model, signature: Signature, shared: bool = False) -> Functions:
    """The levels as plain TensorFlow functions, all on one float32 copy of the weights.

    Each takes `image`, (batch, *sides, channels) of any real dtype, pixel values 0..255, and gives one tensor under
    the name of `signature.output`: (batch, *sides, classes) float32; or, for masks, uint8 as `segment` describes them.
    Sides that are or may be no multiple of what the level takes are padded by reflection and cropped back, exactly as
    `segment` does for that level; where the model normalises by the whole image, it does so before padding.

    To write them, trace each with `tf.function(..).get_concrete_function(tf.TensorSpec(..))`; the weights are the
    concrete functions' `variables`, which a `tf.Module` must hold while it is saved. If `shared`, levels call functions
    that they have in common, which makes for a small SavedModel; converters want each level as one graph.
    """
    import tensorflow as tf

    whole = network(model, signature.levels, logits=signature.output == "logits", activation=signature.activation)
    about = describe(whole)
    normalize, start = about.standardization, about.start
    own = parts(whole, start) if shared else {}

    def function(name: str) -> Callable[[Any], dict[str, Any]]:
        core = keras.Model(start, whole.output[name], name="net")
        steps = describe(keras.Model(whole.inputs[0], whole.output[name])).divisors

        def run(image: Any) -> dict[str, Any]:
            x = tf.cast(image, tf.float32)
            if normalize is not None:
                x = x - averaged(x)
                x = x * tf.math.rsqrt(averaged(tf.square(x)) + normalize.epsilon)
            padded, inner = reflected(x, steps)
            y = (own[name](padded) if shared else core(padded, training=False))[inner]
            return {signature.output: to_mask(y, signature) if signature.output == "mask" else y}

        return run

    return {name: function(name) for name in signature.names}


def reflected(x: Any, steps: ByAxis) -> tuple[Any, tuple[slice, ...]]:
    """A batch of images padded by reflection, half on either side, to multiples of its steps, and where they then are.

    Sides that are known to be multiples already stay as they are. Works for images smaller than the padding.
    """
    import tensorflow as tf

    inner = [slice(None)] * x.shape.rank
    for axis, step in enumerate(by_axis(steps, x.shape.rank - 2), 1):
        known = x.shape[axis]
        if known is not None and known % step == 0:
            continue
        side: Any = tf.shape(x)[axis] if known is None else known
        more = (step - side % step) % step
        before, last = more // 2, side - 1
        positions: Any = tf.range(side + more) if known is None else np.arange(side + more, dtype=np.int32)
        period = tf.maximum(2 * last, 1) if known is None else max(2 * last, 1)
        # The remainder is of `positions - before`, kept from being negative, where ONNX' remainder is another one.
        x = tf.gather(x, last - abs((positions + before * (period - 1)) % period - last), axis=axis)
        inner[axis] = slice(before, before + side)
    return x, tuple(inner)


def averaged(x: Any) -> Any:
    """The mean of each image of a batch, keeping its axes.

    Axis by axis, since some runtimes add up in float32 one after another: over all pixels at once, the variance of a
    dark image of 256 x 256 pixels with a few bright ones came out wrong enough to change probabilities by 4e-4.
    """
    import tensorflow as tf

    for axis in reversed(range(1, x.shape.rank)):
        x = tf.reduce_mean(x, axis, keepdims=True)
    return x


def to_mask(probabilities: Any, signature: Signature) -> Any:
    """Probabilities -> masks, as TensorFlow operations."""
    import tensorflow as tf

    if signature.activation == "softmax":
        return tf.cast(tf.argmax(probabilities, -1), tf.uint8 if signature.classes <= 256 else tf.uint16)
    mask = tf.cast(probabilities > 0.5, tf.uint8)
    return tf.squeeze(mask, -1) if signature.classes == 1 else mask


def check_flag(name: str, value: Any) -> None:
    """Raise `InputError` for anything but True and False, such as the text "no"."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False. Received: {value!r}.")


def check_labels(labels: Any, classes: int) -> tuple[str, ...]:
    """Names of the classes as a tuple, empty if None.

    Raises:
        InputError: there are more or fewer than classes, or they are no text; for one class, background may come first.
    """
    if labels is None:
        return ()
    names, wanted = tuple(labels), (1, 2) if classes == 1 else (classes,)
    if isinstance(labels, str) or len(names) not in wanted or not all(isinstance(name, str) for name in names):
        raise InputError(f"labels must be {' or '.join(map(str, wanted))} texts, one a class. Received: {labels!r}.")
    return names


def _levels(about: Description, asked: Any, logits: bool) -> tuple[int | str, ...]:
    known: list[Any] = [asked_level(name) for name in about.outputs]
    if len(known) > 1 and not (logits and asked is None):
        known.append(MEAN)
    listed = asked if isinstance(asked, (list, tuple)) else [asked]
    items = known if asked is None else [asked_level(item) for item in listed]
    if not items:
        raise InputError("levels must name at least one level. Received: none.")
    for item in items:
        about.output(item)
    if logits and MEAN in items:
        raise InputError(
            "'mean' averages the heads' probabilities, so it has no logits. Leave it out of levels, or use"
            " output='probabilities'."
        )
    return tuple(level for level in known if level in items)


def _sides(about: Description, size: Any, input: str) -> Sides:
    own = about.sides
    if input == "image_bytes":
        if size is not None:
            raise InputError(f"input='image_bytes' takes images of any size. Received: size={size!r}. Leave size out.")
        return (None,) * len(own)
    if size is None:
        return own
    sides = tuple(size) if isinstance(size, (list, tuple)) else (size,) * len(own)
    if len(sides) != len(own) or any(side is not None and (type(side) is not int or side < 1) for side in sides):
        raise InputError(f"size must be a whole number of pixels, or {len(own)}, None for any. Received: {size!r}.")
    return sides


def _check_finite(model: keras.Model) -> None:
    for name, weight in weights.variables(model).items():
        if not np.isfinite(np.asarray(keras.ops.convert_to_numpy(weight), np.float32)).all():
            raise InputError(
                f"Weight {name} of model {model.name!r} holds NaN or infinite numbers, so its output would mean"
                " nothing. Load a good checkpoint, or train again with a smaller learning rate."
            )
