"""One try: a file is read in a forked process that has limits of memory and time and may write in one folder only."""

import ctypes
import json
import os
import resource
import selectors
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

OUTCOMES = ("read", "InputError", "signal", "hang", "outside", "traceback", "memory")
"""What can come of a try: what was wanted, and from the third on what never may be."""
FAULTS = OUTCOMES[2:]

_WATCHED = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")

_READER = ["-P", "h5_worker.py"]
"""What starts the package's reader of HDF5."""

_LONGEST = 2100
"""Letters of a message."""


class Limits(NamedTuple):
    """What a try may take.

    Attributes:
        seconds: of a clock, and of one core.
        memory: in bytes, on top of what the process has when it begins.
        programs: whether it may start any.
    """

    seconds: float
    memory: int
    programs: bool


class Result(NamedTuple):
    """What came of a try.

    Attributes:
        outcome: one of `OUTCOMES`.
        text: the error, with its traceback where that is a fault.
        key: short, the same for faults that are likely one.
        seconds: that it took.
        peak: most memory, in bytes, of it or one process that it started.
    """

    outcome: str
    text: str
    key: str
    seconds: float
    peak: int


def attempt(read: Callable[[Path], object], path: Path, area: Path, limits: Limits) -> Result:
    """Read a file in a process of its own.

    Args:
        read: the reader.
        path: the file, or the folder that it is in; the reader may write into the folder that this lies in.
        area: a folder around that, with nothing else of worth: where something may be written by mistake.
        limits: of the process.
    """
    before = _tree(area, path.parent)
    told, tell = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(told)
        _inside(read, path, area, limits, tell)
    os.close(tell)
    answer, late = _answer(told, start + limits.seconds)
    _kill(child)
    _, status, usage = os.wait4(child, 0)
    seconds, peak = time.monotonic() - start, usage.ru_maxrss * 1024
    said = (area / "tmp" / "said").read_text(encoding="utf-8", errors="replace")[-4000:]
    outside = sorted(set(_tree(area, path.parent).items()) ^ set(before.items()))
    if answer is not None:
        outcome, text, key = answer
    elif late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        outcome, text, key = "hang", f"no end within {limits.seconds:.0f} s\n{said}", "hang"
    else:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        name = signal.Signals(number).name if number else f"exit {os.WEXITSTATUS(status)}"
        outcome, text, key = "signal", f"{name}\n{said}", name
    if outside and outcome != "outside":
        names = ", ".join(dict.fromkeys(os.fspath(name) for name, _ in outside))
        outcome, text, key = "outside", f"changed: {names}\n{text}", "written"
    return Result(outcome, text, key, seconds, peak)


def _kill(child: int) -> None:
    """End a process and all that it has started; it has its own group by the time that it can start any."""
    for end in (os.killpg, os.kill):
        try:
            end(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _tree(area: Path, own: Path) -> dict[str, Any]:
    """What is in the area beside the folder that may be written: path -> what changes when it does."""
    found = {}
    free = {own, area / "tmp", area / "home" / ".cache"}  # runtimes keep notes of their own in the last
    for folder, folders, names in os.walk(area):
        folders[:] = [one for one in folders if Path(folder, one) not in free]
        for name in (*folders, *names):
            about = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (about.st_mode, about.st_size * (name in names), about.st_ino)
    return found


def _answer(told: int, deadline: float) -> tuple[tuple[str, str, str] | None, bool]:
    """What the process tells of itself, None if it ends before; and whether it is late."""
    data = b""
    with selectors.DefaultSelector() as selector, os.fdopen(told, "rb", buffering=0) as file:
        selector.register(file, selectors.EVENT_READ)
        while not data.endswith(b"\n"):
            if not selector.select(max(deadline - time.monotonic(), 0)):
                return None, True
            part = file.read(65536)
            if not part:
                return None, False
            data += part
    outcome, text, key = json.loads(data)
    return (outcome, text, key), False


def _inside(read: Callable[[Path], object], path: Path, area: Path, limits: Limits, tell: int) -> None:
    """The process itself; it never returns."""
    try:
        os.setsid()
        temporary = area / "tmp"
        said = os.open(temporary / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(area / "home")
        places = dict.fromkeys(("TMPDIR", "MPLCONFIGDIR", "KERAS_HOME"), str(temporary))
        os.environ.update(places, HOME=str(area / "home"))
        tempfile.tempdir = None
        _limit(limits)
        _write_only_in(area)
        started: list[str] = []
        if not limits.programs:
            sys.addaudithook(
                lambda event, values: started.append(f"{event} {values}") if _starts(event, values) else None
            )
        outcome, text, key = _tried(read, path)
        if started:
            outcome, text, key = "outside", f"it started {started[0][:300]}", "started"
        line = json.dumps((outcome, text.encode("utf-8", "backslashreplace").decode(), key)).encode() + b"\n"
        while line:
            line = line[os.write(tell, line) :]
    finally:
        os._exit(9)


def _starts(event: str, values: tuple[Any, ...]) -> bool:
    """Whether a program is started, the package's reader of HDF5 aside."""
    reads = event == _WATCHED[0] and [os.path.basename(word) for word in values[1][1:3]] == _READER
    return event in _WATCHED and not reads


def _tried(read: Callable[[Path], object], path: Path) -> tuple[str, str, str]:
    from keras_unetpp.kit.errors import InputError

    try:
        read(path)
    except InputError as error:
        text = str(error)
        if is_line(text):
            return "InputError", text, "InputError"
        return "traceback", f"a message of several lines, or a very long one: {text[:4000]!r}", "message"
    except MemoryError as error:
        return "memory", traceback.format_exc(), _key(error)
    except BaseException as error:
        return "traceback", traceback.format_exc(), _key(error)
    return "read", "", "read"


def is_line(text: str) -> bool:
    """Whether a message is one line of a length that can be read; the command line shows control characters escaped."""
    return len(text) <= _LONGEST and "\n" not in text and "\r" not in text


def _key(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/keras_unetpp/" in frame.filename] or frames
    return f"{type(error).__name__} {Path(own[-1].filename).name}:{own[-1].name}"


def _limit(limits: Limits) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    room = pages * resource.getpagesize() + limits.memory
    seconds = int(limits.seconds) + 1
    for kind, most in ((resource.RLIMIT_AS, room), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))


_WRITE_FILE = 1 << 1
_WRITES = _WRITE_FILE | sum(1 << bit for bit in (4, 5, 6, 7, 8, 9, 10, 11, 12))
"""Landlock's rights to write a file, and to make and remove files, folders and links of each kind."""
_MOVES = 1 << 13
"""Its right, since its second version, to move files to another folder."""
_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Numbers of Landlock's system calls, the same on all machines."""


def _write_only_in(area: Path) -> None:
    """Have the kernel refuse to write elsewhere, where it can (Landlock, since Linux 5.13)."""
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(_CREATE, None, 0, 1)
    if version < 1:
        return
    rights = _WRITES | (_MOVES if version > 1 else 0)
    rules = library.syscall(_CREATE, struct.pack("Q", rights), 8, 0)
    for place, own in ((area, rights), (os.devnull, _WRITE_FILE)):
        rule = struct.pack("=Qi", own, os.open(place, os.O_PATH))
        if library.syscall(_ADD, rules, 1, rule, 0):
            raise OSError(ctypes.get_errno(), "Landlock takes no rule")
    if library.prctl(38, 1, 0, 0, 0) or library.syscall(_RESTRICT, rules, 0):
        raise OSError(ctypes.get_errno(), "Landlock does not restrict")
