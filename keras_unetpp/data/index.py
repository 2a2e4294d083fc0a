"""`index.csv` of a data folder, in whatever encoding and with whatever separator a spreadsheet wrote it."""

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from keras_unetpp.files import is_text, replacing
from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.kit.json_files import read_bytes

NAME = "index.csv"
SPLITS = ("train", "val")
FILE, SPLIT, KIND, GROUP = "file", "split", "kind", "group"

SEPARATORS = (",", ";", "\t", "|")
MOST_BYTES = 2**26
"""That an index may have: some million images."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SPLIT_WORDS = {*SPLITS, "training", "valid", "validation", "test", "dev"}


class Row(NamedTuple):
    """One row: the line it ends on, and its cells by the name of their column."""

    line: int
    cells: dict[str, str]


class Index(NamedTuple):
    """The columns in their order and the rows, blank ones left out."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_index(path: Path) -> Index:
    """Read an index: UTF-8, UTF-16 or Windows' Latin; separated by comma, semicolon, tab or bar; quoted or not.

    Names of columns are taken in lower case, and cells without the space around them.

    Raises:
        InputError: too long, no text, quotes that do not close, no column `file`, or one that is most likely `split`.
    """
    text = _text(path).lstrip("\r\n")
    first = text.splitlines()[0] if text else ""
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # a hint that Excel reads and hides
        separator, text = first[4], text[len(first) :]
        if separator == '"' or separator.isalnum():
            raise InputError(f"{path} names {separator} as its separator. Use one of , ; | or a tab.")
    else:
        separator = next((one for one in SEPARATORS if FILE in _names(_cut(first, one))), SEPARATORS[0])
    cells = list(_cells(text, separator, path))
    columns, rows = _names(cells[0][1] if cells else ()), cells[1:]
    _check_columns(columns, rows, path)
    return Index(columns, tuple(_row(columns, line, own, path) for line, own in rows))


def normal(name: str) -> str:
    """A name as all systems compare it: macOS writes accents apart from their letters, others do not."""
    return unicodedata.normalize("NFC", name)


def write_index(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]], overwrite: bool = False) -> None:
    """Write an index as UTF-8 with commas, whole or not at all; see `files.replacing`."""
    rows = list(rows)
    for row in rows:
        if not is_text(row[FILE]):
            raise InputError(f"{row[FILE]} is not UTF-8, so it cannot stand in {path}. Rename that image.")
    with replacing(path, overwrite) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _text(path: Path) -> str:
    raw = read_bytes(path, MOST_BYTES)
    marked = next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), None)
    if marked:
        encodings: tuple[str, ...] = (marked,)
    elif b"\0" in raw:  # UTF-16 without its mark: of ASCII, each other byte is 0
        encodings = ("utf-16-le",) if raw[1::2].count(0) > raw[::2].count(0) else ("utf-16-be",)
    else:
        encodings = ("utf-8", "cp1252")
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError(f"{path} is no text that can be read. Save it as CSV in UTF-8.")


def _cells(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num}: {error}. Save it as CSV, one line an image.") from error


def _cut(line: str, separator: str) -> list[str]:
    """A header at a separator that may be the wrong one, so quotes are not held against it."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.strip().lower() for cell in cells)


def _check_columns(columns: tuple[str, ...], rows: Sequence[tuple[int, list[str]]], path: Path) -> None:
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice:
        raise InputError(f"{path} has the column {twice} twice")
    if FILE not in columns:
        raise InputError(f"{path} needs the column {FILE}, and any of {SPLIT}, {KIND} and {GROUP}. Received:"
                         f" {', '.join(map(brief, columns)) or 'none'}.")  # fmt: skip
    if SPLIT in columns:
        return
    for number, name in enumerate(columns):
        words = {cells[number].lower() for _, cells in rows if number < len(cells)}
        if words and words <= _SPLIT_WORDS:
            raise InputError(f"{path} has no column split, but {name} holds {', '.join(sorted(words))}: name it split")


def _row(columns: tuple[str, ...], line: int, cells: list[str], path: Path) -> Row:
    if any(cells[len(columns) :]):
        raise InputError(f"{path} line {line}: {len(cells)} cells for {len(columns)} columns. Quote cells that hold"
                         " the separator.")  # fmt: skip
    return Row(line, dict(zip(columns, cells, strict=False)))
