"""Reads all of an HDF5 file and prints what came of it: a program, since a damaged file may keep HDF5 busy for ever.

    python h5_worker.py PATH MEMBER MOST

MEMBER is that of the archive PATH, or empty. Of a file whose arrays would take more than MOST bytes none is read. What
is printed is these bytes. It imports nothing of the package: it has to start fast.
"""

import io
import sys
import zipfile
from typing import Any, BinaryIO


def main(path: str, member: str, most: str) -> None:
    """Read it."""
    import h5py

    file: str | BinaryIO = path
    if member:
        with zipfile.ZipFile(path) as archive:
            file = io.BytesIO(archive.read(member))
    with h5py.File(file, "r") as opened:
        found: list[Any] = [opened]
        opened.visititems(lambda _, one: found.append(one))
        arrays = [one for one in found if isinstance(one, h5py.Dataset) and one.shape is not None]
        total = sum(one.nbytes for one in arrays)
        print(total, flush=True)
        if total > int(most):
            return
        for one in found:
            for name in one.attrs:
                one.attrs[name]
        for one in arrays:
            one[()]


if __name__ == "__main__":
    main(*sys.argv[1:])
