"""What is in the way of a file or folder that is to be written: it must be ours and unchanged, or may be replaced."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from keras_unetpp.files.record import RECORD, Facts, facts_of
from keras_unetpp.kit.errors import InputError

FilePath = str | os.PathLike[str]


def check_free(paths: Iterable[FilePath], overwrite: bool = False) -> None:
    """Raise `InputError` naming what is in the way of files: what is no file, or is not ours unless `overwrite`."""
    in_the_way: list[FilePath] = []
    records: dict[Path, Facts] = {}
    for path in paths:
        target = Path(os.path.realpath(path))
        if os.path.lexists(target):
            _check_kind(Path(path), target)
            facts = records.get(target.parent) or facts_of(target.parent)
            records[target.parent] = facts
            if not overwrite and not facts.ours(target):
                in_the_way.append(path)
    if in_the_way:
        raise _not_ours(in_the_way)


def check_folder_free(path: FilePath, names: Iterable[str] = (), overwrite: bool = False) -> None:
    """Raise `InputError` if a folder is there that holds anything which is not ours.

    Args:
        path: the folder.
        names: paths within it that such a folder has, with `*` for any letters.
        overwrite: whether files of these names may be replaced though they are not known to be ours. Others never are.
    """
    target, names = Path(os.path.realpath(path)), set(names)
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise InputError(f"{path} is a file, not a folder, so it is left alone. Choose another path.")
    facts = facts_of(target)
    known = {*names, RECORD, *facts.stamps}
    folders = {str(parent) for name in known for parent in Path(name).parents}
    foreign, changed = [], []
    for one in target.rglob("*"):
        name = one.relative_to(target).as_posix()
        if one.is_dir() and not one.is_symlink():
            foreign += [] if name in folders else [name]
        elif name == RECORD or (not one.is_symlink() and facts.ours(one, name)):
            continue
        elif one.is_file() and not one.is_symlink() and any(_matches(name, known_name) for known_name in names):
            changed.append(name)
        else:
            foreign.append(name)
    if foreign:
        raise InputError(
            f"{path} holds what this package did not write, so it is left alone: {_listed(foreign)}. Choose another"
            " path."
        )
    if changed and not overwrite:
        raise _not_ours([Path(path)])


def check_one(path: Path, target: Path, overwrite: bool, facts: Facts) -> None:
    """What `check_free` is, for one file: `target` is where `path` leads, `facts` are those of its folder."""
    if os.path.lexists(target):
        _check_kind(path, target)
        if not overwrite and not facts.ours(target):
            raise _not_ours([path])


def _check_kind(path: Path, target: Path) -> None:
    mode = os.lstat(target).st_mode
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder, not a file. Choose another path.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is no ordinary file, so it is left alone. Choose another path.")


def _not_ours(paths: list[FilePath]) -> InputError:
    more = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
    return InputError(
        f"{paths[0]}{more} is there already, and this package did not write it, or it was changed since. Choose another"
        " name, or say overwrite=True (--overwrite) to replace it."
    )


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and Path(name).match(pattern)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(sorted(names)[:3]) + more
