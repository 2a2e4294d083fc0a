"""`keras-unetpp train`."""

import argparse
from typing import Any

from keras_unetpp.cli.options import (
    data_changed_option,
    folder_options,
    network_options,
    overwrite_option,
    recipe_options,
    spec_of,
)

USAGE = "--data DIR --out RUN"
HELP = "train on images and masks, or go on with a stopped run"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--data", required=True, help="folder with images/ and masks/, and index.csv if wanted")
    parser.add_argument("--out", required=True, help="folder of the run")
    overwrite_option(parser)
    data_changed_option(parser)
    text = "train though the memory that is free seems too small for it"
    parser.add_argument("--no-memory-check", dest="check_memory", action="store_false", help=text)
    folder_options(parser)
    network_options(parser)
    recipe_options(parser)


def run(data: str, out: str, overwrite: bool, data_changed: bool, check_memory: bool, **options: Any) -> None:
    """Train."""
    from keras_unetpp.data.data_folder import data_folder
    from keras_unetpp.recipe import Recipe

    spec, folder = spec_of(options), data_folder(data, options)
    recipe = Recipe.from_dict(options)

    import keras

    from keras_unetpp.graph.build import build
    from keras_unetpp.training.fit import fit

    keras.utils.set_random_seed(recipe.seed)
    told: Any = {"overwrite": overwrite, "data_changed": data_changed, "check_memory": check_memory}
    fit(build(spec), folder, out, recipe, **told)
