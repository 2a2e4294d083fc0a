"""`keras-unetpp data`."""

import argparse
from typing import Any

from keras_unetpp.cli.options import folder_options, scoring_options, value_option
from keras_unetpp.cli.say import say
from keras_unetpp.kit.errors import InputError

USAGE = "DIR | data convert SOURCE OUT --format NAME"
HELP = "what a data folder holds; choose its validation share; or make one of annotated images"

CONVERT = "convert"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    text = f"data folder; or the word {CONVERT}, what to convert, and the folder to write"
    parser.add_argument("words", metavar="DIR", nargs="+", help=text)
    folder_options(parser)
    group = parser.add_argument_group("what it is for, as far as decided")
    value_option(group, "classes", int, "classes of the network")
    scoring_options(group)
    value_option(group, "ndim", int, "3 for volumes (default 2)", default=2)
    group = parser.add_argument_group("choose what validates")
    value_option(group, "split", float, "write index.csv with this share of the images to validate on, such as 0.2")
    value_option(group, "seed", int, "changes which images that share is (default 0)", default=0)
    group.add_argument("--overwrite", action="store_true", help="give an index.csv that is there a new column split")
    group = parser.add_argument_group(CONVERT)
    group.add_argument("--format", metavar="X", help="of the annotations: coco or labelme")
    group.add_argument("--instances", action="store_true", help="number the shapes of an image, not the classes")


def run(words: list[str], split: float | None, seed: int, overwrite: bool, format: str | None, instances: bool,
        **options: Any) -> None:  # fmt: skip
    """Describe, split or convert."""
    if words[0] == CONVERT and len(words) > 1:
        _convert(words[1:], format, instances, 0.2 if split is None else split, seed)
        return
    if len(words) > 1 or format or instances:
        raise InputError(f"data takes one folder, or {CONVERT} SOURCE OUT --format NAME. Received: {' '.join(words)}.")
    from keras_unetpp.data.data_folder import OPTIONS, DataFolder
    from keras_unetpp.data.sharing import split_folder
    from keras_unetpp.data.summary import describe_data

    folder = DataFolder(words[0], **{name: options.pop(name) for name in OPTIONS if name in options})
    if split is not None:
        say(f"written: {split_folder(folder, split, seed, overwrite=overwrite)}")
    elif overwrite:
        raise InputError("data --overwrite needs --split, which says what to write.")
    summary = describe_data(folder, progress=True, **options)
    say(summary)
    summary.tell()


def _convert(words: list[str], format: str | None, instances: bool, split: float, seed: int) -> None:
    from keras_unetpp.data.convert import FORMATS, MASKS, convert_data

    if len(words) != 2 or format is None:
        raise InputError(f"data {CONVERT} needs SOURCE, OUT and --format {' or '.join(FORMATS)}.")
    source, out = words
    masks = MASKS[instances]
    say(convert_data(source, out, format, masks=masks, val_fraction=split, seed=seed, progress=True))
