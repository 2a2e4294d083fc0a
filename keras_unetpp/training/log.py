"""`log.csv` of a run: one row an epoch."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.kit.json_files import read_bytes

Row = dict[str, float]

_EPOCH = "epoch"
_WAY_OUT = "Put back the log that belongs to this run, or choose another folder."


def read_log(path: Path) -> list[Row]:
    """The rows of a run's log, as they were written down.

    Raises:
        InputError: there is none, or it is none; the text names the line.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing, without which the best epoch is not known. {_WAY_OUT}")
    return rows_of(read_bytes(path), path)


def rows_of(data: bytes, what: object) -> list[Row]:
    """The rows of a log as text in UTF-8.

    Raises:
        InputError: it is none; the text names `what` and the line.
    """
    try:
        # Strict: a quote that is not closed would swallow all lines after it.
        reader = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{what} is no CSV in UTF-8: {error}. {_WAY_OUT}") from error
    if not lines or _EPOCH not in lines[0][1] or len(set(lines[0][1])) != len(lines[0][1]):
        raise InputError(f"{what} must begin with the names of its columns, {_EPOCH} among them. {_WAY_OUT}")
    names = lines[0][1]
    rows: list[Row] = []
    for number, cells in lines[1:]:
        where = f"{what} line {number}"
        if len(cells) != len(names):
            raise InputError(f"{where}: {len(cells)} cells for {len(names)} columns. {_WAY_OUT}")
        row = {name: _value(name, cell, where) for name, cell in zip(names, cells, strict=True) if cell}
        if row.get(_EPOCH, 0) <= (rows[-1][_EPOCH] if rows else 0):
            raise InputError(f"{where}: epochs must rise from line to line, from 1 on. {_WAY_OUT}")
        rows.append(row)
    return rows


def as_csv(rows: Sequence[Row]) -> str:
    """A log as text; values that a row has not are left empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _value(name: str, cell: str, where: str) -> float:
    try:
        value = int(cell) if name == _EPOCH and len(cell) < 10 else float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (name == _EPOCH and type(value) is not int):
        raise InputError(f"{where}: {brief(name)} must be a number. Received: {brief(cell)}. {_WAY_OUT}")
    return value
