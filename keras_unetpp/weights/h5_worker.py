"""Reads all of an HDF5 file and prints what came of it: a program, since a damaged file may keep HDF5 busy for ever.

    python h5_worker.py PATH MEMBER MOST

MEMBER is that of the archive PATH, or empty. Printed are the bytes that the arrays would take; if they are more than
MOST, none is read. Where a part cannot be read, with MOST bytes and 1 GiB at hand, a line says why. A file that does
not even open ends in an exception. It imports nothing of the package: it has to start fast.
"""

import contextlib
import io
import sys
import zipfile
from typing import Any, BinaryIO

SPARE = 2**30
"""Bytes of memory for Python and HDF5 themselves, which a broken length may ask for gigabytes."""


def main(path: str, member: str, most: str) -> None:
    """Read it."""
    import h5py

    _limit_memory(int(most) + SPARE)
    file: str | BinaryIO = path
    if member:
        with zipfile.ZipFile(path) as archive:
            file = io.BytesIO(archive.read(member))
    with h5py.File(file, "r") as opened:
        try:
            _read(opened, h5py.Dataset, int(most))
        except Exception as error:  # HDF5's errors come as most of Python's classes
            print(str(error).partition("\n")[0] or type(error).__name__, flush=True)


def _read(opened: Any, dataset: Any, most: int) -> None:
    found: list[Any] = [opened]
    opened.visititems(lambda _, one: found.append(one))
    arrays = [one for one in found if isinstance(one, dataset) and one.shape is not None]
    total = sum(one.nbytes for one in arrays)
    print(total, flush=True)
    if total > most:
        return
    for one in found:
        for name in one.attrs:
            one.attrs[name]
    for one in arrays:
        one[()]


def _limit_memory(most: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # systems without such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
