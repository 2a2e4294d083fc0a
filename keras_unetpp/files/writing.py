"""The one module that replaces, renames or deletes anything, each behind the record of what is ours.

A file is written beside its place under a temporary name that is in the record, is flushed to the disk, and then takes
its place in one step; so does a folder. What is in the way must be ours and unchanged, or the caller says `overwrite`.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keras_unetpp.files.checks import FilePath, check_folder_free, check_free, check_one
from keras_unetpp.files.disk import close, flush, like, locked, made
from keras_unetpp.files.exchange import exchange
from keras_unetpp.files.locks import hold
from keras_unetpp.files.names import NO_FOLLOW, temporary_name
from keras_unetpp.files.record import RECORD, Record, adopt, facts_of, is_temporary, stamp_of
from keras_unetpp.kit.errors import shown

_workshops: set[Path] = set()
"""Temporary folders that are being filled here."""

_BEFORE = "before"
"""Name that a folder has within the temporary one while another takes its place, where that needs two steps."""


@contextmanager
def replacing(path: FilePath, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside `path`; on success it takes the place of `path`, on failure it is removed.

    The temporary name is short and keeps the extension, since many writers choose the format by it. Missing parent
    folders are made. Of a link, the file that it leads to is written. A file that is replaced passes its mode on. In a
    folder that is not in its place yet, a file is written where it will be.

    Args:
        path: the file to write; an old file there stays untouched until the new one is complete.
        overwrite: whether a file may be replaced that is not known to be ours.

    Raises:
        InputError: there is a file that is not ours, or what is no file.
        OSError: the disk is full, read-only or the like; the text names `path`.
    """
    target = Path(os.path.realpath(path))
    if not _workshops.isdisjoint(target.parents):
        with naming(path, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield target
        return
    temporary = target.with_name(temporary_name(target))
    with naming(path, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with recorded(target.parent) as record:
            check_one(Path(path), target, overwrite, record.facts)
            record.note_temporary(temporary.name, target.name)
            try:
                # Locked before another can read of it in the record, so that it is not swept.
                lock = made(temporary)
            except OSError:
                record.note_gone(temporary.name)
                raise
        try:
            like(target, temporary)
            yield temporary
            like(target, temporary)
            flush(temporary)
            stamp = stamp_of(temporary, temporary.name)
            with recorded(target.parent) as record:
                check_one(Path(path), target, overwrite, record.facts)
                record.note_files({target.name: stamp})
                os.replace(temporary, target)
        except BaseException:
            _abandon(temporary, target)
            raise
        finally:
            close(lock)
        flush(target.parent)


@contextmanager
def replacing_folder(path: FilePath, names: Iterable[str] = (), overwrite: bool = False) -> Iterator[Path]:
    """What `replacing` is for files; the folder that is yielded is yet to be made.

    Both folders change places in one step where the system can. Where it cannot, and dies between two, the next call of
    `sweep` brings the old one back.

    Args:
        path: the folder.
        names: see `check_folder_free`.
        overwrite: see there.
    """
    target = Path(os.path.realpath(path))
    names = set(names)
    with naming(path, target), _workshop(target) as work:
        fresh = work / target.name
        yield fresh
        if not fresh.is_dir():
            raise FileNotFoundError(2, os.strerror(2), os.fspath(target))
        check_folder_free(path, names, overwrite)
        adopt(fresh, sorted(one.relative_to(fresh).as_posix() for one in fresh.rglob("*") if one.is_file()))
        for one in (*fresh.rglob("*"), fresh):
            like(target / one.relative_to(fresh), one)
            flush(one)
        if not target.exists():
            os.rename(fresh, target)
        elif not exchange(fresh, target):
            os.rename(target, work / _BEFORE)
            try:
                os.rename(fresh, target)
            except OSError:
                os.rename(work / _BEFORE, target)
                raise
        flush(target.parent)


@contextmanager
def fetching(path: FilePath) -> Iterator[Path]:
    """Yield a folder of one's own; the file that is in it under the name of `path` takes the place of `path`.

    It is for files whose content is known by a digest, so that one that is in the way is a damaged copy of the same.

    Raises:
        OSError: the disk is full, read-only or the like; the text names `path`.
    """
    target = Path(os.path.realpath(path))
    with naming(path, target), _workshop(target) as work:
        yield work
        fresh = work / target.name
        flush(fresh)
        stamp = stamp_of(fresh)
        with recorded(target.parent) as record:
            record.note_files({target.name: stamp})
            os.replace(fresh, target)
        flush(target.parent)


def write_text(path: FilePath, text: str, overwrite: bool = False) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all; see `replacing`."""
    with replacing(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")


def prepare(paths: Iterable[FilePath], overwrite: bool = False) -> None:
    """Find out before any work whether files can be written; see `check_free` and `make_ready`."""
    paths = list(paths)
    check_free(paths, overwrite)
    first: dict[Path, FilePath] = {}
    for path in paths:
        first.setdefault(Path(os.path.realpath(path)).parent, path)
    for path in first.values():
        make_ready(path)


def make_ready(path: FilePath) -> None:
    """Make the folder of a file if it is missing, try to write there, and tidy up after writers that were killed.

    Raises:
        OSError: the folder cannot be written; the text names `path`.
    """
    folder = Path(os.path.realpath(path)).parent
    probe = folder / temporary_name(folder / "probe")
    with naming(path, probe):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        with recorded(folder) as record:
            record.note_temporary(probe.name, "")
            try:
                probe.write_bytes(bytes(4096))
            finally:
                probe.unlink(missing_ok=True)
                record.note_gone(probe.name)


def discard(path: FilePath) -> None:
    """Delete a file if it is there and is ours."""
    path = Path(path)
    if not path.is_file() or not facts_of(path.parent).ours(path):
        return
    with recorded(path.parent) as record:
        path.unlink(missing_ok=True)
        record.note_gone(path.name)


def remove_empty(folder: FilePath) -> None:
    """Remove a folder if nothing is in it."""
    with suppress(OSError):
        os.rmdir(folder)


def sweep(folder: FilePath) -> None:
    """Remove what writers left in a folder that were killed; those that are alive keep theirs.

    A folder that had been put aside for another that never took its place comes back.
    """
    root = Path(folder)
    if not (root / RECORD).is_file():
        return
    with recorded(root) as record:
        there = set(os.listdir(root))
        for name, becomes in list(record.facts.temporaries.items()):
            left = root / name
            if name not in there:  # it has its place, or was never made
                del record.facts.temporaries[name]
                continue
            if not (is_temporary(name) and (left.is_file() or left.is_dir())):
                continue
            with suppress(OSError):  # its writer may be removing it just now
                lock = os.open(left, os.O_RDONLY | NO_FOLLOW)
                try:
                    if hold(lock):
                        _bring_back(left / _BEFORE, root / becomes)
                        _remove(left)
                        record.note_gone(name)
                finally:
                    os.close(lock)


@contextmanager
def recorded(folder: Path) -> Iterator[Record]:
    """The record of a folder, open and locked; one that says nothing in the end is not left behind."""
    with Record(folder) as record:
        try:
            yield record
        finally:
            if record.facts.blank():
                with suppress(OSError):
                    record.path.unlink()


@contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, in the record and locked; it is removed at the end."""
    work = target.with_name(temporary_name(target, ".new"))
    target.parent.mkdir(parents=True, exist_ok=True)
    with recorded(target.parent) as record:
        record.note_temporary(work.name, target.name)
        work.mkdir()
        lock = locked(work, os.O_RDONLY)
    _workshops.add(work)
    try:
        yield work
    finally:
        _workshops.discard(work)
        _abandon(work, target)
        close(lock)


def _abandon(temporary: Path, target: Path) -> None:
    """Remove a temporary file or folder, and have the record say so, unless it has its place already."""
    there = os.path.lexists(temporary)
    _remove(temporary)
    with suppress(OSError), recorded(target.parent) as record:
        noted = [one.temporary for one in record.facts.stamps.get(target.name, ())]
        if not os.path.lexists(temporary) and (there or temporary.name not in noted):
            record.note_gone(temporary.name)


def _remove(temporary: Path) -> None:
    """Remove a temporary file or folder; its name in the record says that it is one."""
    if temporary.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _bring_back(before: Path, target: Path) -> None:
    """Undo half an exchange of folders."""
    if before.is_dir() and target.parent == before.parents[1] and not os.path.lexists(target):
        os.rename(before, target)


@contextmanager
def naming(path: FilePath, target: Path) -> Iterator[None]:
    """Let errors of the system name the file that was to be written, unless they are about another one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not _is_about(Path(os.fsdecode(error.filename)), target):
            raise
        message = shown(f"cannot write {os.fspath(path)}: {error.strerror or error}")
        raise (OSError(message) if error.errno is None else OSError(error.errno, message)) from error


def _is_about(named: Path, target: Path) -> bool:
    """Whether a path is that of a file to be written, or of what is made or needed on the way."""
    if named == target or named == target.parent / RECORD or named in target.parents:
        return True
    return named.is_relative_to(target.parent) and is_temporary(named.relative_to(target.parent).parts[0])
