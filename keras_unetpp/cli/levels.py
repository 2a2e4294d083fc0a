"""`keras-unetpp levels`."""

import argparse
from typing import Any

from keras_unetpp.cli.options import (
    MODELS,
    folder_options,
    network_options,
    opened,
    scoring_options,
    spec_of,
    trusted_option,
    value_option,
)
from keras_unetpp.cli.say import say
from keras_unetpp.cli.words import SIDES
from keras_unetpp.kit.errors import InputError

USAGE = ""
HELP = "what each level costs, and how fast and good it is"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    value_option(parser, "size", SIDES, "sides in pixels at which costs hold, for example 256,256")
    group = parser.add_argument_group("a model's own")
    group.add_argument("--model", metavar="X", help=f"{MODELS}; without it, the network that the options describe")
    group.add_argument("--data", help="folder of labelled images to score the levels of --model on")
    value_option(group, "repeat", int, "timed runs of each level; 0 times nothing (default 5)", default=5)
    trusted_option(parser)
    scoring_options(group)
    folder_options(parser)
    network_options(parser)


def run(model: str | None, data: str | None, size: Any, repeat: int, trusted: bool, **options: Any) -> None:
    """Print the table."""
    from keras_unetpp.data.data_folder import OPTIONS
    from keras_unetpp.spec import level_costs, picture

    scoring = {name: options.pop(name) for name in ("labels", "ignore_index", *OPTIONS) if name in options}
    if data is None and scoring:
        raise InputError(f"levels {', '.join('--' + name.replace('_', '-') for name in scoring)} needs --data.")
    if model is None:
        if data is not None:
            raise InputError("levels --data needs --model: a network without weights has no score.")
        spec = spec_of(options)
        say(f"{picture(spec)}\n\n{level_costs(spec, size)}")
        return
    from keras_unetpp.pruning import levels

    say(levels(opened(model, trusted)[0], data, size=size, repeat=repeat, progress=True, **scoring))
