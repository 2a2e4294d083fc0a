"""`keras-unetpp levels`."""

import argparse
from typing import Any

from keras_unetpp.cli.options import (
    MODELS,
    folder_options,
    level_option,
    network_options,
    opened,
    overwrite_option,
    scoring_options,
    spec_of,
    trusted_option,
    value_option,
)
from keras_unetpp.cli.say import say, tell
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
    picture = parser.add_argument_group("picture")
    picture.add_argument("--plot", metavar="FILE", help="draw the network there: .svg or .png")
    level_option(picture, "what this level, 1..d, does not need is drawn grey (default: nothing is)")
    overwrite_option(picture)
    network_options(parser)


def run(model: str | None, data: str | None, size: Any, repeat: int, trusted: bool, plot: str | None, level: Any,
        overwrite: bool, **options: Any) -> None:  # fmt: skip
    """Draw the network, if that is asked for, and print the table."""
    from keras_unetpp.data.data_folder import OPTIONS
    from keras_unetpp.spec import level_costs, picture

    if plot is not None:
        _check_picture(plot, model, overwrite)
    elif level is not None or overwrite:
        raise InputError(f"levels {'--overwrite' if level is None else '--level'} needs --plot.")

    scoring = {name: options.pop(name) for name in ("labels", "ignore_index", *OPTIONS) if name in options}
    if data is None and scoring:
        raise InputError(f"levels {', '.join('--' + name.replace('_', '-') for name in scoring)} needs --data.")
    if model is None:
        if data is not None:
            raise InputError("levels --data needs --model: a network without weights has no score.")
        spec = spec_of(options)
        _draw(spec, plot, level, overwrite)
        say(f"{picture(spec)}\n\n{level_costs(spec, size)}")
        return
    from keras_unetpp.pruning import levels

    network = opened(model, trusted)[0]
    _draw(network, plot, level, overwrite)
    say(levels(network, data, size=size, repeat=repeat, progress=True, **scoring))


def _check_picture(path: str, model: str | None, overwrite: bool) -> None:
    """Raise `InputError` before anything is opened if there can be no such picture."""
    from keras_unetpp.files import prepare
    from keras_unetpp.formats import is_artefact
    from keras_unetpp.plotting import check_suffix

    check_suffix(path)
    if model is not None and is_artefact(model):
        raise InputError(f"levels --plot draws models, not exported files. Received: {model}.")
    prepare([path], overwrite)


def _draw(network: Any, path: str | None, level: Any, overwrite: bool) -> None:
    if path is not None:
        from keras_unetpp.plotting import plot

        plot(network, path, level, overwrite=overwrite)
        tell(f"drawn in {path}")
