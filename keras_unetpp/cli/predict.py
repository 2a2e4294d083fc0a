"""`keras-unetpp predict`."""

import argparse
from typing import Any

from keras_unetpp.cli.options import level_option, model_option, opened, overwrite_option, trusted_option, value_option
from keras_unetpp.cli.say import say, tell
from keras_unetpp.cli.words import SIDES

USAGE = "IN OUT"
HELP = "segment an image or a folder of images of any size"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("source", metavar="IN", help="image, or folder of images")
    parser.add_argument("out", metavar="OUT", help="folder for masks and overlays")
    model_option(parser)
    level_option(parser)
    parser.add_argument("--output", choices=["mask", "probabilities"], default="mask", help="PNG masks or .npy arrays")
    value_option(parser, "threshold", float, "of the mask (default 0.5)", default=0.5)
    parser.add_argument("--no-overlay", dest="overlay", action="store_false", help="write no overlay pictures")
    parser.add_argument("--skip-existing", action="store_true", help="go on with an interrupted run")
    overwrite_option(parser)
    trusted_option(parser)
    group = parser.add_argument_group("of large images")
    value_option(group, "tile", int | SIDES, "side of a tile in pixels, or one per side", default=argparse.SUPPRESS)
    value_option(group, "overlap", int, "pixels that neighbouring tiles share", default=argparse.SUPPRESS)
    value_option(group, "memory", float, "bytes that one batch may take", default=argparse.SUPPRESS)
    value_option(group, "max-pixels", int, "pixels that an image may have (default 2^29)", default=argparse.SUPPRESS)


def run(source: str, out: str, model: str, level: Any, trusted: bool, **options: Any) -> int:
    """Predict, and say what was written and what could not be read; 1 if anything could not."""
    from keras_unetpp.prediction.folder import predict_folder

    network, best = opened(model, trusted)
    written = predict_folder(network, source, out, level=best if level is None else level, progress=True, **options)
    say(f"{len(written)} files in {out}")
    for path, reason in written.failed.items():
        tell(f"failed: {path}: {reason}")
    return 1 if written.failed else 0
