"""The validation share of a data folder, chosen once and written down in its index.csv."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_unetpp.data.contents import LeftOut, pairs, split_places
from keras_unetpp.data.data_folder import DataFolder, data_folder
from keras_unetpp.data.folders import match_rows
from keras_unetpp.data.index import FILE, GROUP, NAME, SPLIT, SPLITS, read_index, write_index
from keras_unetpp.data.splits import by_share
from keras_unetpp.kit.errors import InputError


def split_folder(data: Any, val_fraction: float = 0.2, seed: int = 0, *, overwrite: bool = False,
                 **options: Any) -> Path:  # fmt: skip
    """Choose which images validate and write that into the folder's index.csv, whose path is returned.

    The same names, groups, share and seed give the same choice. The share is as near to `val_fraction` as whole groups
    allow. An index that is there already keeps its rows and its other columns, of which `group` is heeded.

    Args:
        data: the folder, or a `DataFolder`.
        val_fraction: share of the images that go to `val`, between 0 and 1.
        seed: another seed gives another choice.
        overwrite: whether an index that is there may be replaced.
        options: fields of `DataFolder`, by name.

    Raises:
        InputError: there is an index; the folder is split by its sub-folders; or what `read_folder` raises.
    """
    folder = data_folder(data, options)
    if options:
        raise TypeError(f"split_folder() got an unexpected keyword argument {next(iter(options))!r}")
    folder = folder if isinstance(folder, DataFolder) else DataFolder(folder)
    root = Path(folder.root)
    path = root / NAME
    if path.is_file() and not overwrite:
        raise InputError(f"{path} is there already. Say overwrite=True (--overwrite) to give it a new column split.")
    if not path.is_file() and split_places(root, folder.images, folder.masks):
        raise InputError(f"{root} is split already, by its folders {' and '.join(SPLITS)}")
    left_out: list[LeftOut] = []
    found = pairs(root, folder.images, folder.masks, folder.mask_suffix, left_out)
    columns: tuple[str, ...] = (FILE, SPLIT)
    rows: dict[str, Mapping[str, str]] = {name: {FILE: pair[0].name} for name, pair in found.items()}
    if path.is_file():
        index = read_index(path)
        columns = index.columns if SPLIT in index.columns else (FILE, SPLIT, *(c for c in index.columns if c != FILE))
        rows = {name: cells for name, _, cells in match_rows(path, index.rows, found)}
    groups = {name: cells.get(GROUP, "") for name, cells in rows.items()}
    val = by_share(groups, val_fraction, seed, root, exact=True)
    write_index(path, columns, ({**cells, SPLIT: SPLITS[name in val]} for name, cells in rows.items()), overwrite)
    return path
