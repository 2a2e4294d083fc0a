"""HDF5 files of others, looked at before Keras reads them: a small file can unpack to any size."""

from pathlib import Path
from typing import Any, BinaryIO

from keras_unetpp.errors import InputError

_TIMES, _SPARE = 8, 2**26
"""Arrays may have so many times the bytes of their file, and so many more; Keras packs none."""


def check_h5(file: Path | BinaryIO, size: int, name: object) -> None:
    """Raise `InputError` if the arrays of an HDF5 file would take far more memory than the file is long.

    What is no HDF5 file is left to whoever reads it.

    Args:
        file: its path, or what it can be read from.
        size: its bytes.
        name: what an error calls it.
    """
    import h5py

    total = 0

    def add(_: str, found: Any) -> None:
        nonlocal total
        total += found.nbytes if isinstance(found, h5py.Dataset) and found.shape is not None else 0

    try:
        with h5py.File(file, "r") as opened:
            opened.visititems(add)
    except Exception:  # h5py raises what its damage happens to lead to
        return
    if total > _TIMES * size + _SPARE:
        raise InputError(
            f"{name} is not readable: its arrays would unpack to {total:,} bytes, and it has {size:,}. Get it again"
            " from who made it."
        )
