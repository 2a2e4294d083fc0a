"""SavedModel folders for TensorFlow Serving: weights once, a signature for each level, core operations only."""

import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import keras
import numpy as np

from keras_unetpp.errors import InputError
from keras_unetpp.export import serving, worker
from keras_unetpp.export.encoded import of_encoded
from keras_unetpp.export.signature import ENCODABLE, Signature, check_labels, functions, to_mask
from keras_unetpp.spec.fields import Spec

TOLERANCE = 1e-4
BYTES = "image_bytes"
DEFAULT = "serving_default"
SPEC_FILE, LABELS_FILE = "spec.json", "labels.txt"


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
    if warmup:
        serving.check_warmup()
    concrete = _signatures(model, signature)
    module = tf.Module()
    module.weights = list({id(weight): weight for one in concrete.values() for weight in one.variables}.values())
    with tempfile.TemporaryDirectory() as folder:
        module.assets = [tf.saved_model.Asset(str(file)) for file in _assets(Path(folder), model, names)]
        try:
            tf.saved_model.save(module, os.fspath(path), signatures=concrete)
        except tf.errors.OpError as error:  # how TensorFlow tells of a full disk
            raise OSError(error.message) from error
    if warmup:
        serving.write_warmup(Path(path), Path(path).parent.name, concrete)


def run(path: str | os.PathLike[str]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The signatures of a SavedModel by name, run by TensorFlow in another process where importing Keras fails.

    Each takes a batch of images, for a signature of encoded ones as uint8, and gives what the signature gives:
    probabilities where there are several outputs. The process ends when the last of them is forgotten.
    """
    process = _Process(path)
    return {name: process.runner(name) for name in process.names}


class _Process:
    """The other process and the talk with it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        # -P: the folder of the script, with its onnx.py, is no place to import from.
        command = [sys.executable, "-P", worker.__file__, os.path.abspath(path)]
        self.pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        self.stdin, self.stdout = cast(BinaryIO, self.pipe.stdin), cast(BinaryIO, self.pipe.stdout)
        weakref.finalize(self, _end, self.pipe)
        self.names = self.stdout.readline().decode().split()
        if not self.names:
            raise self._broken()

    def runner(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """One signature as a function."""

        def call(images: np.ndarray) -> np.ndarray:
            try:
                self.stdin.write(name.encode() + b"\n")
                worker.send(self.stdin, images)
                return worker.receive(self.stdout)
            except (OSError, EOFError) as error:
                raise self._broken() from error

        return call

    def _broken(self) -> InputError:
        self.pipe.wait()
        self.errors.seek(0)
        last = (self.errors.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        return InputError(f"TensorFlow without Keras cannot run the SavedModel: {last}")


def _end(pipe: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        cast(BinaryIO, pipe.stdin).close()
    pipe.wait()
    cast(BinaryIO, pipe.stdout).close()


def _signatures(model: keras.Model, signature: Signature) -> dict[str, Any]:
    """The concrete functions by name; where one can call another it does, since a copy would make the file larger."""
    import tensorflow as tf

    def traced(function: Callable[[Any], Any], spec: Any) -> Any:
        return tf.function(function).get_concrete_function(spec)

    encoded, values = signature.input == BYTES, signature.output if signature.output == "logits" else "probabilities"
    images = tf.TensorSpec(signature.shape, tf.uint8 if signature.input == "uint8" else tf.float32, name="image")
    any_size = tf.TensorSpec((None,) * (images.shape.rank - 1) + (signature.channels,), tf.float32, name="image")
    texts = tf.TensorSpec((None,), tf.string, name="image")
    levels = functions(model, replace(signature, output=values))
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


def _assets(folder: Path, model: keras.Model, labels: Sequence[str]) -> list[Path]:
    """Files about the model, written to `folder`."""
    texts = {LABELS_FILE: "".join(f"{label}\n" for label in labels)} if labels else {}
    if isinstance(spec := getattr(model, "spec", None), Spec):
        texts[SPEC_FILE] = spec.to_json()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]
