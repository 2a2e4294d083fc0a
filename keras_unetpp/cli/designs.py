"""`keras-unetpp designs`."""

import argparse
from collections.abc import Iterable, Iterator

from keras_unetpp.cli.say import say

USAGE = ""
HELP = "list what --topology, --block, --up, .. can name, what each is, and where it comes from"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: nothing."""


def run() -> None:
    """Print the tables, each under its option."""
    from keras_unetpp.spec.choices import BOTH, Choices
    from keras_unetpp.spec.fields import FIELDS

    for name, item in FIELDS.items():
        table = item.metadata.get("allowed")
        if not isinstance(table, Choices):
            continue
        rows = [
            (f"{key} (default)" if key == item.default else key, row.text + _only(row.ranks, BOTH), row.source)
            for key, row in table.items()
        ]
        say("\n".join([f"--{name.replace('_', '-')}: {item.metadata['help']}", *_columns(rows), ""]))


def _only(ranks: Iterable[int], every: Iterable[int]) -> str:
    return "" if ranks == every else f"; {' and '.join(f'{rank}-D' for rank in ranks)} only"


def _columns(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
