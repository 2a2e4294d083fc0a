"""`keras_unetpp.json`: what this package wrote into a folder, so that it is known again and nothing else is touched.

A file is ours if it has the size and the time, or the content, that it had when it was written; so a copy of a folder
is ours as well, and a file that somebody changed or put in its place is not. Temporary files are written down before
they are made and files before they get their names, so that a kill at any moment leaves nothing unknown.

The file is JSON, one fact a line. Facts are appended in place by any number of processes, each behind a lock.
"""

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from keras_unetpp.files.locks import wait
from keras_unetpp.files.names import NO_FOLLOW
from keras_unetpp.kit.errors import InputError

RECORD = "keras_unetpp.json"

_HEAD = '{"keras_unetpp": 1, "edition": "%s", "files": {\n"keras_unetpp.json": "record"'
_TAIL = b"\n}}\n"
_STARTS = re.compile(rb'\{"keras_unetpp": 1, "edition": "([0-9a-f]{16})", "files": \{\n')
_TEMPORARY = re.compile(r"\.[^/\0]*\.[0-9a-f]{8}(\.[^/\0.]+)?")
_MOST_BYTES = 2**28
_GONE = "gone"


class Stamp(NamedTuple):
    """What a file was like when it was written: bytes, time in nanoseconds, digest, and the name it had before."""

    size: int
    time: int
    digest: str
    temporary: str = ""


@dataclass
class Facts:
    """What a record says.

    Attributes:
        stamps: name -> what was written under it, the latest last.
        temporaries: name -> what it was to become.
        holder: who works in the folder, or was the last that did.
    """

    stamps: dict[str, list[Stamp]] = field(default_factory=dict)
    temporaries: dict[str, str] = field(default_factory=dict)
    holder: dict[str, Any] = field(default_factory=dict)
    lines: int = 0

    def take(self, line: str) -> None:
        """Heed one line; one that a kill cut short, or that somebody else wrote, says nothing."""
        self.lines += 1
        try:
            ((name, value),) = json.loads(f"{{{line.strip().rstrip(',')}}}").items()
        except (ValueError, RecursionError):
            return
        if isinstance(value, list) and len(value) == 4 and [type(one) for one in value] == [int, int, str, str]:
            stamp = Stamp(*value)
            self.stamps[name] = [*self.stamps.get(name, ())[-3:], stamp]
            if stamp.temporary:
                self.temporaries[stamp.temporary] = name
        elif value == _GONE:
            self.stamps.pop(name, None)
            becomes = self.temporaries.pop(name, "")
            kept = [one for one in self.stamps.pop(becomes, ()) if one.temporary != name]
            self.stamps |= {becomes: kept} if kept else {}
        elif isinstance(value, dict) and name == RECORD:
            self.holder = value
        elif isinstance(value, dict) and isinstance(value.get("becomes"), str):
            self.temporaries[name] = value["becomes"]

    def ours(self, path: Path, name: str | None = None) -> bool:
        """Whether an ordinary file is as it was written; `name` is what the record calls it."""
        stamps = self.stamps.get(path.name if name is None else name, ())
        about = os.lstat(path)
        alike = [one for one in stamps if one.size == about.st_size]
        if not alike or not stat.S_ISREG(about.st_mode):
            return False
        return any(one.time == about.st_mtime_ns for one in alike) or digest(path) in {one.digest for one in alike}

    def blank(self) -> bool:
        """Whether nothing is said that anybody could need."""
        return not (self.stamps or self.holder or self.temporaries)


@dataclass
class _Known:
    """What was read of a record before, so that the next reading takes up there."""

    edition: str
    end: int
    facts: Facts


_known: dict[str, _Known] = {}


class Record:
    """The record of a folder, open and locked; a context manager.

    Args:
        folder: it must exist.

    Raises:
        InputError: there is a file of that name that is no record.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / RECORD
        self.facts = Facts()

    def __enter__(self) -> "Record":
        while True:
            self._file = _open(self.path, os.O_RDWR | os.O_CREAT)
            wait(self._file)
            if _still_there(self._file, self.path):
                break
            os.close(self._file)
        try:
            if os.fstat(self._file).st_size == 0:
                _write(self._file, _head() + _TAIL, 0, 0)
            self.facts, self._end = _read(self._file, self.path)
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def note_temporary(self, name: str, becomes: str) -> None:
        """A temporary file or folder is about to be made."""
        self._add({name: {"becomes": becomes}})

    def note_gone(self, name: str) -> None:
        """A file, or a temporary file or folder, was removed or never made."""
        self._add({name: _GONE})

    def note_files(self, stamps: dict[str, Stamp]) -> None:
        """Files are about to get their names, or are known to be ours."""
        self._add(stamps)
        if self.facts.lines > 256 + 6 * len(self.facts.stamps):
            self._compact()

    def note_holder(self, about: dict[str, Any]) -> None:
        """Somebody works in the folder."""
        self._add({RECORD: about})

    def _add(self, facts: dict[str, Any]) -> None:
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items()]
        if not lines:
            return
        start = self._end - len(_TAIL)
        if _tail(self._file, self._end) != _TAIL:  # a kill cut the last line short
            start = self._end
        _write(self._file, "".join(f",\n{line}" for line in lines).encode() + _TAIL, start, self._end)
        self._end = os.fstat(self._file).st_size
        for line in lines:
            self.facts.take(line)
        _remember(self._file, self.path, self._end, self.facts)

    def _compact(self) -> None:
        """Leave out what no longer counts. A kill half-way leaves lines that are true still."""
        facts = self.facts
        there = set(os.listdir(self.path.parent))
        lines: list[tuple[str, Any]] = [(name, stamp) for name, own in facts.stamps.items() for stamp in own[-2:]]
        lines += [(name, {"becomes": becomes}) for name, becomes in facts.temporaries.items() if name in there]
        lines += [(RECORD, facts.holder)] if facts.holder else []
        text = "".join(f",\n{json.dumps(name)}: {json.dumps(value)}" for name, value in lines)
        data = _head() + text.encode() + _TAIL
        if len(data) < self._end:  # over bytes that are there already, so the disk cannot be full
            _write_at(self._file, data, 0)
            os.ftruncate(self._file, len(data))
            _known.pop(os.fspath(self.path), None)
            self.facts, self._end = _read(self._file, self.path)


def facts_of(folder: Path) -> Facts:
    """What the record of a folder says; nothing if there is none.

    Raises:
        InputError: there is a file of that name that is no record.
    """
    path = folder / RECORD
    try:
        file = _open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return Facts()
    try:
        wait(file)
        return _read(file, path)[0] if os.fstat(file).st_size else Facts()
    finally:
        os.close(file)


def adopt(folder: str | os.PathLike[str], names: Iterable[str], anew: bool = False) -> None:
    """Take files as ours which are known to be, though no record says so: those of version 0.1.0.

    A record that knows one of the names was there when they were written, so what it does not know is not ours.

    Args:
        folder: where they are.
        names: of the files; those missing, and links, are left out.
        anew: heed no earlier record: all that matters of the files was read, and will be in what replaces them.
    """
    root, names = Path(folder), list(names)
    there = [name for name in names if (root / name).is_file() and not (root / name).is_symlink()]
    facts = facts_of(root)
    if anew:
        there = [name for name in there if not facts.ours(root / name)]
    elif knows(root, names):
        return
    if not there:
        return
    stamps = {name: stamp_of(root / name) for name in there}
    with Record(root) as record:
        record.note_files(stamps)


def knows(folder: str | os.PathLike[str], names: Iterable[str]) -> bool:
    """Whether the record of a folder knows any of the names."""
    return not facts_of(Path(folder)).stamps.keys().isdisjoint(names)


def is_placed(path: str | os.PathLike[str]) -> bool:
    """Whether a file of that name was written by us at some time, be it there still or not."""
    path = Path(path)
    return path.name in facts_of(path.parent).stamps


def stamp_of(path: Path, temporary: str = "") -> Stamp:
    """What a file is like now."""
    about = os.lstat(path)
    return Stamp(about.st_size, about.st_mtime_ns, digest(path), temporary)


def digest(path: Path) -> str:
    """Of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def is_temporary(name: str) -> bool:
    """Whether a name could be that of a temporary file of ours: a record that was sent may say anything."""
    return _TEMPORARY.fullmatch(name) is not None


def _open(path: Path, flags: int) -> int:
    try:
        file = os.open(path, flags | NO_FOLLOW, 0o666)
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise _no_record(path) from error
        raise
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_BYTES:
        os.close(file)
        raise _no_record(path)
    return file


def _still_there(file: int, path: Path) -> bool:
    """Whether what was waited for is the record still: a blank one is removed by whoever leaves it."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False


def _read(file: int, path: Path) -> tuple[Facts, int]:
    """The facts, and where the file ends."""
    edition, about = _edition(file, path), os.fstat(file)
    known = _known.get(os.fspath(path))
    if known is None or known.edition != edition or known.end > about.st_size:
        known = _Known(edition, len(_STARTS.match(_read_at(file, 128, 0))[0]), Facts())  # type: ignore[index]
    with open(file, "rb", closefd=False) as stream:
        stream.seek(known.end)
        text = stream.read().decode("utf-8", "replace")
    for line in text.split("\n"):
        if line.strip(" ,}"):
            known.facts.take(line)
    _remember(file, path, about.st_size, known.facts)
    return known.facts, about.st_size


def _remember(file: int, path: Path, end: int, facts: Facts) -> None:
    if len(_known) > 64:
        _known.clear()
    # The next line begins where the closing brackets are now.
    begin = max(end - len(_TAIL), 0)
    _known[os.fspath(path)] = _Known(_edition(file, path), begin, facts)


def _head() -> bytes:
    """The first lines; the edition tells whether what was read before is what is there now."""
    return (_HEAD % secrets.token_hex(8)).encode()


def _edition(file: int, path: Path) -> str:
    match = _STARTS.match(_read_at(file, 128, 0))
    if match is None:
        raise _no_record(path)
    return match[1].decode()


def _tail(file: int, end: int) -> bytes:
    return _read_at(file, len(_TAIL), end - len(_TAIL))


def _write(file: int, data: bytes, at: int, end: int) -> None:
    """Write all of it, or leave the file as it was: `end` is where it ended."""
    before = _read_at(file, end - at, at)
    try:
        _write_at(file, data, at)
    except OSError:
        _write_at(file, before, at)
        os.ftruncate(file, end)
        raise


def _read_at(file: int, count: int, at: int) -> bytes:
    os.lseek(file, at, os.SEEK_SET)
    return os.read(file, count)


def _write_at(file: int, data: bytes, at: int) -> None:
    os.lseek(file, at, os.SEEK_SET)
    while data:
        data = data[os.write(file, data) :]


def _no_record(path: Path) -> InputError:
    return InputError(
        f"{path} is where this package writes down which files are its own, but it is something else. Choose another"
        " folder, or move it away."
    )
