"""SavedModel folders in TensorFlow, in another process where importing Keras fails, as on a server."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_unetpp.formats import process
from keras_unetpp.formats.runtime import Opened, as_dtype, as_text
from keras_unetpp.formats.saved_model import LABELS_FILE, SIGNATURE_FILE, SPEC_FILE, operations

_FILES = {"signature": SIGNATURE_FILE, "spec": SPEC_FILE, "labels": LABELS_FILE}
_OUTPUTS = ("probabilities", "logits", "mask", "mask_bytes")
"""Which output to give of several: the first; `mask_bytes` are PNG, to be decoded."""


def open(path: str | os.PathLike[str], threads: int | None = None, inside: bool = False,
         trusted: bool = False) -> Opened:  # fmt: skip
    """A folder with its signatures by name.

    Each takes a batch of images, for a signature of encoded ones rounded to 8 bits, and gives what the signature
    gives: probabilities where there are several outputs.

    Args:
        path: the folder.
        threads: how many an operation may run on; default all cores.
        inside: for folders just written: as `trusted`; a SavedModel always has its own process.
        trusted: run it whatever it does, also if it holds what `export` does not write.

    Raises:
        InputError: TensorFlow cannot open or run it, or it is not trusted and does more than `export` writes.
    """
    opened = process.open("saved_model", path, threads, inside or trusted)
    files = {key: Path(path) / "assets" / name for key, name in _FILES.items()}
    texts = {key: as_text(file.open("rb"), file) for key, file in files.items() if file.is_file()}
    return opened._replace(texts=texts)


def opened(path: str | os.PathLike[str], threads: int = 0, trusted: bool = False) -> Opened:
    """The signatures in this process; one of encoded images gets each image as PNG.

    A folder that is not trusted is looked at before it is loaded.
    """
    import tensorflow as tf

    if not trusted:
        operations.check(path)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    signatures = tf.saved_model.load(os.fspath(path)).signatures
    return Opened({name: _runner(signatures[name]) for name in sorted(signatures)}, {})


def _runner(run: Any) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    ((name, wanted),) = run.structured_input_signature[1].items()

    def call(images: Any) -> np.ndarray:
        if wanted.dtype == tf.string:
            images = tf.stack([tf.io.encode_png(image) for image in as_dtype(images, np.uint8)])
        else:
            images = as_dtype(images, wanted.dtype.as_numpy_dtype)
        outputs = run(**{name: tf.convert_to_tensor(images)})
        result = next(outputs[key] for key in _OUTPUTS if key in outputs)
        if result.dtype == tf.string:
            result = tf.stack([tf.io.decode_png(text)[..., 0] for text in result])
        return np.asarray(result)

    return call
