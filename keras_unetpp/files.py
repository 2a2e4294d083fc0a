"""Files written whole or not at all: a reader never meets half a file."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on failure it is removed.

    The temporary name keeps the extension, since many writers choose the format by it. Missing parent folders are made.

    Args:
        path: the file to write; an old file there stays untouched until the new one is complete.

    Raises:
        OSError: the disk is full, read-only or the like; the text names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is not None and Path(os.fsdecode(error.filename)) not in (temporary, *path.parents):
            raise  # about another file, which the text names already
        message = f"cannot write {path}: {error.strerror or error}"
        raise (OSError(message) if error.errno is None else OSError(error.errno, message)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sweep(*paths: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed writers of these files left beside them; see `replacing`."""
    for path in map(Path, paths):
        own = re.compile(rf"\.{re.escape(path.stem)}\.[0-9a-f]{{8}}{re.escape(path.suffix)}")
        for left in path.parent.iterdir() if path.parent.is_dir() else ():
            if own.fullmatch(left.name) and left.is_file():
                left.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
