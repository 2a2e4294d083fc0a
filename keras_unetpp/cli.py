"""The command line: options derived from `Spec` and `Recipe`, one-line errors, nothing heavy imported early."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from keras_unetpp.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for input that can be mended, 130 when interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = vars(_parser().parse_args(arguments))
    command: Callable[..., None] = options.pop("run")
    try:
        command(**options)
    except (InputError, OSError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where finished work was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keras-unetpp", description="UNet++ for Keras.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train on a folder of images and masks")
    train.set_defaults(run=_train)
    train.add_argument("--data", required=True, help="folder with images/ and masks/, and index.csv if wanted")
    train.add_argument("--out", required=True, help="folder of the run; a run in it is resumed")
    _network_options(train)
    _recipe_options(train)
    return parser


def _network_options(parser: argparse.ArgumentParser) -> None:
    from keras_unetpp.spec import PRESETS
    from keras_unetpp.spec.fields import FIELDS

    group = parser.add_argument_group("network")
    group.add_argument("--preset", choices=list(PRESETS), default=None)
    group.add_argument("--width", type=_value, default=None, help="filters of row 0, doubled in each row below")
    for name, item in FIELDS.items():
        _option(group, name, item.metadata["help"])


def _recipe_options(parser: argparse.ArgumentParser) -> None:
    from keras_unetpp.training.recipe import Recipe

    group = parser.add_argument_group("training")
    for item in dataclasses.fields(Recipe):
        _option(group, item.name, f"{item.metadata['help']} (default {item.default})")


def _option(group: Any, name: str, text: str) -> None:
    group.add_argument(
        f"--{name.replace('_', '-')}", type=_value, default=argparse.SUPPRESS, metavar="VALUE", help=text
    )


def _value(text: str) -> Any:
    """A field's value from the command line: a number, true/false/none, a comma-separated list, or a word."""
    if "," in text:
        return tuple(_value(part) for part in text.split(","))
    words = {"true": True, "false": False, "none": None}
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return words.get(text, text)


def _spec(options: dict[str, Any]) -> Any:
    """The Spec that the network options mean, taken out of `options`."""
    from keras_unetpp.spec import Spec
    from keras_unetpp.spec.fields import FIELDS

    fields = {name: options.pop(name) for name in (*FIELDS, "width") if options.get(name) is not None}
    preset = options.pop("preset")
    options.pop("width", None)
    return Spec.preset(preset, **fields) if preset else Spec.from_dict(fields)


def _train(data: str, out: str, **options: Any) -> None:
    from keras_unetpp.training.recipe import Recipe

    spec = _spec(options)
    recipe = Recipe.from_dict(options)

    import keras

    from keras_unetpp.graph.build import build
    from keras_unetpp.training.fit import fit

    keras.utils.set_random_seed(recipe.seed)
    fit(build(spec), data, out, recipe)
