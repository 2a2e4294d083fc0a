"""SavedModel folders for TensorFlow Serving: weights once, a signature for each level, core operations only."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_unetpp.formats.functions import ENCODABLE, check_flag, check_labels, functions, to_mask
from keras_unetpp.formats.saved_model import LABELS_FILE, SIGNATURE_FILE, SPEC_FILE, serving
from keras_unetpp.formats.saved_model.encoded import of_encoded
from keras_unetpp.formats.signature import Signature
from keras_unetpp.graph.describe import describe

BYTES = "image_bytes"
DEFAULT = "serving_default"


def write(model: keras.Model, path: str | os.PathLike[str], signature: Signature, *,
          labels: Sequence[str] | None = None, warmup: bool = False) -> None:  # fmt: skip
    """Write a SavedModel that `tf.saved_model.load` and TensorFlow Serving open without Keras.

    Signatures: one for each level, `L1`.. and `mean`, from `image`, (batch, *sides, channels), to `probabilities`,
    `mask` or `logits`; `serving_default`, that of the deepest level; and `image_bytes`, the deepest level for encoded
    images (PNG, JPEG, BMP, GIF) of any size: `image`, (batch,) texts, to `mask_bytes`, PNG of class numbers,
    `probabilities` or `logits`, and `sides`; see `encoded`. With `signature.input` "image_bytes" all of them take
    encoded images. Models of volumes, and of other channels than 1, 3 and 4, have no `image_bytes`.

    Args:
        model: any model of this package.
        path: the folder; TensorFlow Serving wants NAME/VERSION, such as `nuclei/1`.
        signature: what to offer.
        labels: names of the classes; written to `assets/labels.txt`, one a line, beside `assets/spec.json`.
        warmup: write a request for each signature that TensorFlow Serving runs before it takes others.

    Raises:
        InputError: the labels do not fit the classes; warm-up requests need a package.
        OSError: the disk is full or the like.
    """
    import tensorflow as tf

    names = check_labels(labels, signature.classes)
    check_flag("warmup", warmup)
    if warmup:
        serving.check_warmup()
    concrete = _signatures(model, signature)
    module = tf.Module()
    module.weights = list({id(weight): weight for one in concrete.values() for weight in one.variables}.values())
    with tempfile.TemporaryDirectory() as folder:
        module.assets = [tf.saved_model.Asset(str(file)) for file in _assets(Path(folder), model, signature, names)]
        try:
            tf.saved_model.save(module, os.fspath(path), signatures=concrete)
        except tf.errors.OpError as error:  # how TensorFlow tells of a full disk
            raise OSError(error.message) from error
    if warmup:
        serving.write_warmup(Path(path), Path(path).parent.name, concrete, signature.channels)


def _signatures(model: keras.Model, signature: Signature) -> dict[str, Any]:
    """The concrete functions by name; where one can call another it does, since a copy would make the file larger."""
    import tensorflow as tf

    def traced(function: Callable[[Any], Any], spec: Any) -> Any:
        return tf.function(function).get_concrete_function(spec)

    encoded, values = signature.input == BYTES, signature.output if signature.output == "logits" else "probabilities"
    images = tf.TensorSpec(signature.shape, tf.uint8 if signature.input == "uint8" else tf.float32, name="image")
    any_size = tf.TensorSpec((None,) * (images.shape.rank - 1) + (signature.channels,), tf.float32, name="image")
    texts = tf.TensorSpec((None,), tf.string, name="image")
    levels = functions(model, replace(signature, output=values), shared=True)
    concrete = {name: traced(function, images) for name, function in levels.items()}
    core = concrete[signature.default]
    if encoded:
        concrete = {name: traced(of_encoded(function, signature), texts) for name, function in concrete.items()}
        concrete[BYTES] = concrete[signature.default]
    elif signature.channels in ENCODABLE and len(signature.sides) == 2:
        core = core if images == any_size else traced(levels[signature.default], any_size)
        concrete[BYTES] = traced(of_encoded(core, signature), texts)
    if signature.output == "mask" and not encoded:
        masks = {name: _masked(concrete[name], signature) for name in signature.names}
        concrete |= {name: traced(function, images) for name, function in masks.items()}
    return {**concrete, DEFAULT: concrete[signature.default]}


def _masked(function: Callable[[Any], Any], signature: Signature) -> Callable[[Any], dict[str, Any]]:
    """A level from images to masks."""
    return lambda image: {"mask": to_mask(function(image)["probabilities"], signature)}


def _assets(folder: Path, model: keras.Model, signature: Signature, labels: Sequence[str]) -> list[Path]:
    """Files about the model, written to `folder`."""
    texts = {SIGNATURE_FILE: signature.to_json()}
    if labels:
        texts[LABELS_FILE] = "".join(f"{label}\n" for label in labels)
    if (spec := describe(model).spec) is not None:
        texts[SPEC_FILE] = spec.to_json()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]
