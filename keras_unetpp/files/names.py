"""Names of files: where one that was read from a file may lead, how long one may be, and how one is shown."""

import os
import re
import secrets
from pathlib import Path
from typing import Any

from keras_unetpp.kit.errors import InputError

MOST_BYTES = 255
"""Of a name; what the usual file systems allow."""

NO_FOLLOW = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
"""How to open a file of that very name: no link is followed, no pipe waited for, and bytes stay what they are."""

NUMBER = "[0-9]+"
"""The pattern of ids of trials."""


def inside(root: str | os.PathLike[str], name: Any, pattern: str | None = None) -> Path:
    """The path within `root` that a name means which came out of a file.

    Args:
        root: a folder.
        name: what was read; parts are separated by "/".
        pattern: regular expression that the whole name must match.

    Raises:
        InputError: the name is no text or holds control characters, matches not, or leads out of `root`, be it by "..",
            as an absolute path or by a link.

    >>> str(inside("search/trials", "07", "[0-9]+"))
    'search/trials/07'
    """
    whole = isinstance(name, str) and 0 < len(name) <= 4096
    if not whole or (pattern is None and re.search(r"[\x00-\x1f\x7f]", str(name))):
        raise InputError(f"A name is required, within {root}, without control characters. Received: {_short(name)}.")
    if pattern is not None and not re.fullmatch(pattern, name, re.ASCII):
        raise InputError(f"A name like {pattern} is required, within {root}. Received: {_short(name)}.")
    path = Path(root, name)
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or os.path.isabs(name) or ":" in parts[0] or not _leads_within(path, Path(root)):
        raise InputError(
            f"{_short(name)} leads out of {root}, or to a link that does, so it is not followed. The file that says so"
            " was changed, or made by somebody else; take it from where it came from."
        )
    return path


def _leads_within(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle, a name too long
        return False


def _short(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_length(name: str, what: object) -> None:
    """Raise `InputError` if a name is longer than file systems allow; `what` is what it would be written for."""
    length = len(os.fsencode(name))
    if length > MOST_BYTES:
        raise InputError(
            f"{what} would give {name}, a name of {length} bytes; {MOST_BYTES} are allowed. Rename it to something"
            " shorter."
        )


def is_text(path: str | os.PathLike[str]) -> bool:
    """Whether a path is UTF-8 from the root on; what is written in C++ opens no other."""
    try:
        os.path.realpath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(path: str | os.PathLike[str], what: str) -> None:
    """Raise `InputError` if a path is not UTF-8; `what` is what has to be."""
    if not is_text(path):
        raise InputError(
            f"The path of {what} must be UTF-8, with all folders above it. Received: {os.path.realpath(path)}. Rename"
            " what is not."
        )


def temporary_name(path: Path, role: str = "") -> str:
    """A hidden name that no other has, for what is to take the place of `path`, and never longer than 64 bytes.

    It keeps the extension, since many writers choose the format by it.
    """
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= 16 and not role else ""
    stem = os.fsdecode(os.fsencode(path.stem)[:24])
    return f".{stem}{role}.{secrets.token_hex(4)}{suffix}"
