"""Plain-text tables and the units in them."""

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines with the first column aligned left and the others right.

    >>> print(table(["level", "params"], [["L1", "100,961"], ["L2", "511,105"]]))
    level   params
    L1     100,961
    L2     511,105
    """
    lines = [list(headings), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if position == 0 else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def giga(count: int | None) -> str:
    """A count in units of 10^9, or a dash."""
    return "-" if count is None else f"{count / 1e9:.2f} G"


def mega(count: int | None) -> str:
    """Bytes in MB (10^6), or a dash."""
    return "-" if count is None else f"{count / 1e6:.2f} MB"


def score(value: float | None) -> str:
    """A score from 0 to 1 with four digits, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def milliseconds(value: float | None) -> str:
    """A time with one digit, or a dash."""
    return "-" if value is None else f"{value:.1f} ms"
