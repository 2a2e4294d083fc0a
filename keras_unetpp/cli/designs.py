"""`keras-unetpp designs`."""

import argparse
from collections.abc import Iterable, Iterator, Sequence

from keras_unetpp.cli.say import say

USAGE = ""
HELP = "list what --topology, --block, --up, .. and --preset can name, what each is, and where it comes from"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: nothing."""


def run() -> None:
    """Print the tables, each under its option, and the presets with what they cost."""
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

    _presets()


def _presets() -> None:
    from keras_unetpp.kit.tables import giga
    from keras_unetpp.spec import PRESETS, Spec, cost
    from keras_unetpp.spec.levels import default_size

    rows, departs = [], []
    for name, preset in PRESETS.items():
        spec = Spec.preset(name)
        size = default_size(spec)
        found = cost(spec, size=size)
        stated = f" (stated: {preset.stated} M)" if preset.stated else ""
        macs = f"{giga(found.macs)} MACs at {' x '.join(map(str, size))}"
        rows.append((name, f"{found.params / 1e6:.2f} M parameters{stated}", macs, preset.text, preset.source))
        departs.append([f"    departs: {preset.departs}"] if preset.departs else [])
    say("--preset: fields of a network, which others change")
    for row, more in zip(_columns(rows), departs, strict=True):  # one by one, since a long text is cut
        say("\n".join([row, *more]))


def _only(ranks: Iterable[int], every: Iterable[int]) -> str:
    return "" if ranks == every else f"; {' and '.join(f'{rank}-D' for rank in ranks)} only"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
