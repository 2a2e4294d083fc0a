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
    """Read an HDF5 file in another process, which HDF5 may crash or keep busy.

    What is no HDF5 file is left to whoever reads it.

    Args:
        path: of the file, or of a zip archive that it is in.
        size: its bytes.
        member: its name within the archive.

    Raises:
        InputError: a part cannot be read, its arrays would take far more memory than the file is long, or reading it
            does not end, or ends the process.
    """
    most = _TIMES * size + _SPARE
    command = [sys.executable, "-P", h5_worker.__file__, str(path), member, str(most)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS + size / _BYTES_PER_SECOND, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"{path} is not readable: reading it does not end. Get it again from who made it.") from None
    told = done.stdout.decode(errors="replace").splitlines()
    total = int(told.pop(0)) if told and told[0].isdigit() else 0
    if total > most:
        raise InputError(
            f"{path} is not readable: its arrays would unpack to {total:,} bytes, and it has {size:,}. Get it again"
            " from who made it."
        )
    if told:
        raise InputError(f"{path} is damaged: {told[0]}. Get it again from who made it.")
    if done.returncode < 0:
        raise InputError(f"{path} is not readable: HDF5 crashes over it. Get it again from who made it.")
