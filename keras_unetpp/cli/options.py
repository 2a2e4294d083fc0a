"""Options that several commands have: the fields of Spec and Recipe, and how a model and its level are named."""

import argparse
import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from keras_unetpp.cli.words import LEVEL, converter, is_list, is_one, several

MODELS = "zoo name, .keras or .h5 file, folder of a run, or exported file (.tflite, .onnx, folder of a SavedModel)"
KERAS_MODELS = "zoo name, .keras or .h5 file, or folder of a run"
DEFAULT_MODEL = "nuclei-small"


def model_option(parser: argparse.ArgumentParser, models: str = MODELS) -> None:
    """`--model`, with a default."""
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="X", help=f"{models} (default {DEFAULT_MODEL})")


def trusted_option(parser: argparse.ArgumentParser) -> None:
    """`--trusted`."""
    text = "run a SavedModel though it holds more than export writes: it is a program, which may read and write files"
    parser.add_argument("--trusted", action="store_true", help=text)


def level_option(parser: Any, text: str = '1..d, or "mean" (default: best known, else the deepest)') -> None:
    """`--level`."""
    parser.add_argument("--level", type=converter(LEVEL, ("mean",)), metavar="X", help=text)


def value_option(group: Any, name: str, wanted: Any, text: str, **more: Any) -> None:
    """An option whose words are read as a type; if it has no default, `none` leaves it open."""
    convert = converter(wanted if more.get("default") is not None else wanted | None)
    group.add_argument(f"--{name}", type=convert, metavar="X", help=text, **more)


def network_options(parser: argparse.ArgumentParser, lists: bool = False) -> None:
    """The fields of `Spec`; with `lists`, commas part several values of one."""
    from keras_unetpp.spec import PRESETS, Spec

    group = parser.add_argument_group("network")
    group.add_argument("--preset", help=f"start from {', '.join(PRESETS)}")
    _field(group, "width", int | None, {"help": "filters of row 0, doubled in each row below"}, lists)
    _fields(group, Spec, lists)


def recipe_options(parser: argparse.ArgumentParser, lists: bool = False) -> None:
    """The fields of `Recipe`; with `lists`, commas part several values of one."""
    from keras_unetpp.recipe import Recipe

    _fields(parser.add_argument_group("training"), Recipe, lists)


def scoring_options(parser: Any) -> None:
    """How masks are read when levels are scored: `labels` and `ignore_index`, as `Recipe` has them."""
    from keras_unetpp.recipe import Recipe

    _fields(parser, Recipe, False, ("labels", "ignore_index"))


def overwrite_option(parser: Any) -> None:
    """`--overwrite`."""
    text = "replace files of these names too that this package did not write, or that were changed since"
    parser.add_argument("--overwrite", action="store_true", help=text)


def data_changed_option(parser: argparse.ArgumentParser) -> None:
    """`--data-changed`."""
    text = "go on though images were added, removed or changed since"
    parser.add_argument("--data-changed", action="store_true", help=text)


def folder_options(parser: argparse.ArgumentParser) -> None:
    """Where images and masks are in a data folder: the fields of `DataFolder`."""
    from keras_unetpp.data.data_folder import OPTIONS, DataFolder

    _fields(parser.add_argument_group("data folder"), DataFolder, False, tuple(OPTIONS))


def _fields(group: Any, cls: type, lists: bool, names: tuple[str, ...] = ()) -> None:
    hints = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        if not names or item.name in names:
            _field(group, item.name, hints[item.name], item.metadata, lists)


def _field(group: Any, name: str, wanted: Any, about: Mapping[str, Any], lists: bool) -> None:
    allowed = about.get("allowed") or ()
    words = [str(word).lower() for word in allowed]
    text = about["help"] + (f": {', '.join(words)}" if words else "")
    convert = converter(wanted, allowed)
    if lists and not is_list(wanted):
        convert = several(convert, about.get("fits") or (lambda value: is_one(value, wanted, allowed)))
    group.add_argument(f"--{name.replace('_', '-')}", type=convert, default=argparse.SUPPRESS, metavar="X", help=text)


def spec_of(options: dict[str, Any]) -> Any:
    """The Spec that the network options mean, taken out of `options`."""
    from keras_unetpp.spec import Spec
    from keras_unetpp.spec.fields import FIELDS

    fields = {name: options.pop(name) for name in (*FIELDS, "width") if name in options}
    preset = options.pop("preset")
    return Spec.preset(preset, **fields) if preset else Spec.from_dict(fields)


def opened(model: str, trusted: bool = False) -> tuple[Any, Any]:
    """A model by name or file, or an exported file, and the level that is known to be its best, or None."""
    from keras_unetpp import zoo
    from keras_unetpp.formats import is_artefact
    from keras_unetpp.formats.artefact import Artefact
    from keras_unetpp.formats.keras_file import is_saved_model

    if is_artefact(model):
        return Artefact(model, trusted=trusted), None
    return zoo.load(model), None if is_saved_model(model) else zoo.entry(model).best_level
