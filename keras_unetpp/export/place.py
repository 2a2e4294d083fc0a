"""Files and folders put in place whole: what was there before stays until the new one is complete."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from keras_unetpp.artefacts import GRAPH_FILE
from keras_unetpp.errors import InputError
from keras_unetpp.files import replacing


def check_target(path: Path, folder: bool) -> None:
    """Find out before any work whether `path` can be written, by writing beside it.

    Raises:
        InputError: there is a file where a folder is due, a folder where a file is, or a folder of other things.
        OSError: it cannot be written; the text names `path`.
    """
    if folder and path.exists() and not (path / GRAPH_FILE).is_file() and not _empty(path):
        raise InputError(f"{path} exists and is no SavedModel, so it is left alone. Choose another path.")
    if not folder and path.is_dir():
        raise InputError(f"{path} is a folder, not a file. Choose another path.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = _beside(path, "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from error


def placing(path: Path, folder: bool) -> AbstractContextManager[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on failure it is removed.

    Raises:
        OSError: the disk is full, read-only or the like; the text names `path`.
    """
    return replacing_folder(path) if folder else replacing(path)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """What `files.replacing` is for files: the old folder is renamed, the new one too, and then the old one is removed.

    If the second renaming fails, the old folder comes back.
    """
    temporary, old = _beside(path, "new"), _beside(path, "old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if path.exists():
            path.rename(old)
        try:
            temporary.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    except OSError as error:
        if error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(path.parent):
            raise  # about another file, which the text names already
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path, role: str) -> Path:
    return path.with_name(f".{path.name}.{role}.{secrets.token_hex(4)}")


def _cannot_write(path: Path, error: OSError) -> OSError:
    message = f"cannot write {path}: {error.strerror or error}"
    return OSError(message) if error.errno is None else OSError(error.errno, message)


def _empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
