"""Names that tifffile does not promise."""

import inspect
from functools import cache
from typing import Any, BinaryIO

from keras_unetpp.compat.names import PrivateName

SEEN = ("2026.3.3",)

MULTIFILE = PrivateName(
    "tifffile", "tifffile:TiffFile(_multifile)", "keeps a TIFF file from having other files read that it names", SEEN
)
GENERIC = PrivateName(
    "tifffile", "tifffile:TiffFile._series_generic", "would compare each page of a file with all others", SEEN
)
NAMES = (MULTIFILE, GENERIC)


def opened(file: BinaryIO) -> Any:
    """A `TiffFile` that reads no other file, whatever this one names, and takes a time that is linear in its pages."""
    from tifffile import TiffFile

    check_arguments()
    tiff: Any = TiffFile(file, _multifile=False, is_mmstack=False, is_ndtiff=False)
    # What tifffile falls back on takes minutes for 20,000 pages.
    GENERIC.put(tiff, lambda: None)
    return tiff


@cache
def check_arguments() -> None:
    """Raise `InputError` unless `TiffFile` can be told to read no other file."""
    from tifffile import TiffFile

    if "_multifile" not in inspect.signature(TiffFile).parameters:
        raise MULTIFILE.gone()
