"""Where an export goes: found out before the work, and put in place whole."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from keras_unetpp.files import check_folder_free, check_text, make_ready, prepare, replacing, replacing_folder

REPORT = "assets.extra/report.json"
"""Where the report lies in a folder; of a file it lies beside, see `report_of`."""


def report_of(path: Path) -> Path:
    """Where the report of a file lies."""
    return path.with_name(f"{path.name}.json")


def check_target(path: Path, parts: Sequence[str], overwrite: bool = False, beside: Iterable[Path] = ()) -> None:
    """Find out before any work whether an export can be written.

    Args:
        path: where it goes.
        parts: patterns of what its folder consists of, but for the report; a file has none.
        overwrite: see `files.check_free` and `files.check_folder_free`.
        beside: what else is to be written.

    Raises:
        InputError: something is in the way that is not ours.
        OSError: it cannot be written; the text names `path`.
    """
    check_text(path, "an exported file")
    if parts:
        check_folder_free(path, (*parts, REPORT), overwrite)
    prepare([*beside] if parts else [path, report_of(path), *beside], overwrite)
    make_ready(path)


def placing(path: Path, parts: Sequence[str], overwrite: bool = False) -> AbstractContextManager[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on failure it is removed.

    Raises:
        InputError: something is in the way that is not ours.
        OSError: the disk is full, read-only or the like; the text names `path`.
    """
    return replacing_folder(path, (*parts, REPORT), overwrite) if parts else replacing(path, overwrite)
