"""Files and folders on the disk: flushed, locked, and given the mode of what they replace. Nothing is removed here."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from keras_unetpp.files.locks import hold
from keras_unetpp.files.names import NO_FOLLOW


def like(old: Path, new: Path) -> None:
    """Give a file the mode of the one that it replaces, and its owner where that may be given."""
    with suppress(OSError):
        before, now = os.stat(old, follow_symlinks=False), os.stat(new)
        if stat.S_IFMT(before.st_mode) != stat.S_IFMT(now.st_mode):
            return
        if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
            with suppress(OSError):
                os.chown(new, before.st_uid, before.st_gid)
        if stat.S_IMODE(before.st_mode) != stat.S_IMODE(now.st_mode):
            os.chmod(new, stat.S_IMODE(before.st_mode))


def flush(path: Path) -> None:
    """Have the disk hold a file, or the names that are in a folder, before that is relied on."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir():  # some file systems cannot flush folders
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        os.close(descriptor)


def made(temporary: Path) -> int | None:
    """Make an empty file, open and locked; see `locked`."""
    return locked(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR)


def locked(path: Path, flags: int) -> int | None:
    """Open and lock; None on Windows, which opens no folders, and renames no open files."""
    if os.name == "nt" and path.is_dir():
        return None
    descriptor = os.open(path, flags | NO_FOLLOW, 0o666)
    hold(descriptor)
    if os.name == "nt":
        os.close(descriptor)
        return None
    return descriptor


def close(lock: int | None) -> None:
    """Let go of what `made` or `locked` gave."""
    if lock is not None:
        os.close(lock)
