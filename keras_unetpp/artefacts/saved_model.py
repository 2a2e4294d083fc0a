"""SavedModel folders in TensorFlow, in another process where importing Keras fails, as on a server."""

import os
from pathlib import Path

from keras_unetpp.artefacts import process
from keras_unetpp.artefacts.runtime import Opened, as_text

SPEC_FILE, LABELS_FILE, SIGNATURE_FILE = "spec.json", "labels.txt", "signature.json"
_FILES = {"signature": SIGNATURE_FILE, "spec": SPEC_FILE, "labels": LABELS_FILE}


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
