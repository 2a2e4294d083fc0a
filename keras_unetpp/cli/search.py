"""`keras-unetpp search`."""

import argparse
import dataclasses
import typing
from typing import Any

from keras_unetpp.cli.options import (
    data_changed_option,
    folder_options,
    network_options,
    overwrite_option,
    recipe_options,
    value_option,
)
from keras_unetpp.cli.say import say

USAGE = "--data DIR --out DIR --max-params N"
HELP = "search depth and width under a budget, or go on with a stopped search"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from keras_unetpp.tuning.budget import Budget

    parser.add_argument("--data", required=True, help="folder with images/ and masks/, and index.csv if wanted")
    parser.add_argument("--out", required=True, help="folder of the search")
    overwrite_option(parser)
    data_changed_option(parser)
    folder_options(parser)
    group = parser.add_argument_group("budget, one limit at least")
    hints = typing.get_type_hints(Budget)
    for item in dataclasses.fields(Budget):
        name = item.name if item.name == "size" else f"max-{item.name.replace('_', '-')}"
        value_option(group, name, hints[item.name], item.metadata["help"], dest=f"budget_{item.name}")
    group = parser.add_argument_group(
        "search", "Fields of network and training below: one value holds for all trials, several (1,2,3) are searched."
    )
    group.add_argument("--tuner", default="random", help="random, bayesian, hyperband or grid (default random)")
    value_option(group, "max-trials", int, "trials in all (default 20)", default=20)
    value_option(group, "max-minutes", float, "no trial begins later than this")
    text = "seconds of silence before another worker takes a trial over (default 60)"
    value_option(group, "worker-timeout", float, text, default=60.0)
    value_option(group, "shares", int, "widths on offer for each structure (default 4)", default=4)
    value_option(group, "repeat", int, "timed runs of each trained level (default 5)", default=5)
    network_options(parser, lists=True)
    recipe_options(parser, lists=True)


def run(data: str, out: str, preset: str | None, **options: Any) -> None:
    """Search, and print the result."""
    from keras_unetpp.spec import Spec
    from keras_unetpp.tuning import Budget, search

    limits = {name: options.pop(name) for name in list(options) if name.startswith("budget_")}
    budget = Budget(**{name.removeprefix("budget_"): value for name, value in limits.items()})
    say(search(data, out, budget, spec=None if preset is None else Spec.preset(preset), **options))
