"""HDF5 files of others, looked at before Keras reads them: a small file can unpack to any size, or end never."""

import subprocess
import sys
from pathlib import Path

from keras_unetpp.kit.errors import InputError
from keras_unetpp.weights import h5_worker

_TIMES, _SPARE = 8, 2**26
"""Arrays may have so many times the bytes of their file, and so many more; Keras packs none."""

_SECONDS, _BYTES_PER_SECOND = 15, 2**23
"""What reading a file may take at least, and what is added for its length."""


def check_h5(path: Path, size: int, member: str = "") -> None:
    """Raise `InputError` if a file has a fault; see `fault`."""
    if found := fault(path, size, member):
        raise InputError(f"{path} is {found}. Get it again from who made it.")


def fault(path: Path, size: int, member: str = "") -> str:
    """What is wrong with an HDF5 file, by reading it in another process, which HDF5 may crash or keep busy.

    What is no HDF5 file is left to whoever reads it.

    Args:
        path: of the file, or of a zip archive that it is in.
        size: its bytes.
        member: its name within the archive.

    Returns:
        The end of "it is ..": a part cannot be read, its arrays would take far more memory than the file is long, or
        reading it does not end, or ends the process. Empty if all is well.
    """
    most = _TIMES * size + _SPARE
    command = [sys.executable, "-P", h5_worker.__file__, str(path), member, str(most)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS + size / _BYTES_PER_SECOND, check=False)
    except subprocess.TimeoutExpired:
        return "not readable: reading it does not end"
    told = done.stdout.decode(errors="replace").splitlines()
    total = int(told.pop(0)) if told and told[0].isdigit() else 0
    if total > most:
        return f"not readable: its arrays would unpack to {total:,} bytes, and it has {size:,}"
    if told:
        return f"damaged: {told[0]}"
    return "not readable: HDF5 crashes over it" if done.returncode < 0 else ""
