"""`keras-unetpp prune`."""

import argparse
from pathlib import Path
from typing import Any

from keras_unetpp.cli.options import KERAS_MODELS, level_option, model_option, opened, overwrite_option
from keras_unetpp.cli.say import say
from keras_unetpp.kit.errors import InputError

USAGE = "OUT"
HELP = "cut one level out into a .keras file of stock layers"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("out", metavar="OUT", help="file to write, ending in .keras")
    model_option(parser, KERAS_MODELS)
    level_option(parser)
    overwrite_option(parser)


def run(out: str, model: str, level: Any, overwrite: bool) -> None:
    """Prune, and say what was written."""
    from keras_unetpp.files import prepare, replacing
    from keras_unetpp.formats import is_artefact
    from keras_unetpp.pruning import prune

    if Path(out).suffix != ".keras":
        raise InputError(f"OUT must end in .keras. Received: {out}.")
    if is_artefact(model):
        raise InputError(f"prune cuts models, not exported files. Received: {model}. Export the level that you want.")
    prepare([out], overwrite)
    network, best = opened(model)
    small = prune(network, best if level is None else level)
    with replacing(out, overwrite) as path:
        small.save(path)
    say(f"{small.name}: {small.count_params():,} parameters in {out}")
