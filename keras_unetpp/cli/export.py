"""`keras-unetpp export`."""

import argparse
from pathlib import Path
from typing import Any

from keras_unetpp.cli.options import KERAS_MODELS, overwrite_option, value_option
from keras_unetpp.cli.say import say
from keras_unetpp.cli.words import LEVEL, SIDES
from keras_unetpp.formats import FORMATS
from keras_unetpp.kit.errors import InputError

USAGE = "MODEL PATH"
HELP = "write a model for another runtime, and prove it"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("model", metavar="MODEL", help=KERAS_MODELS)
    add("path", metavar="PATH", help="NAME.tflite, NAME.onnx, or a folder for a SavedModel, NAME/VERSION")
    *names, last = FORMATS
    add("--format", help=f"{', '.join(names)} or {last}, where PATH does not tell")
    value_option(parser, "levels", tuple[LEVEL, ...], '1..d and "mean", comma-separated (default: all)')
    text = "sides in pixels, for example 256,256 (TFLite needs them); none for any"
    value_option(parser, "size", int | SIDES, text)
    add("--input", default="float32", help="float32, uint8, or image_bytes (SavedModel)")
    add("--output", default="probabilities", help="probabilities, mask, or logits")
    value_option(parser, "labels", tuple[str, ...], "names of the classes, comma-separated")
    add("--no-verify", dest="verify", action="store_false", help="leave the proof out")
    value_option(parser, "tolerance", float, "largest difference of probabilities allowed (default: the format's)")
    add("--images", help="image or folder of images to compare on, besides random ones")
    group = parser.add_argument_group("8 bits")
    modes = {row.title: [mode.name for mode in row.modes if mode.name] for row in FORMATS.values()}
    text = "; ".join(f"{title}: {', '.join(own)}" for title, own in modes.items() if own)
    value_option(group, "quantize", str, text)
    group.add_argument("--calibration", help="folder of ten to hundred images, for the int8 modes")
    group.add_argument("--labelled", metavar="DATA", help="folder of labelled images; its val images are scored")
    value_option(group, "max-drop", float, "IoU or Dice that a level may lose on them (default 0.01)")
    text = "IoU that masks of an 8-bit file must have with the model's (default 0.8; 0: any)"
    value_option(group, "min-agreement", float, text)
    group = parser.add_argument_group("of one format")
    group.add_argument("--author", help="TFLite, ONNX: of the model, for the metadata")
    group.add_argument("--licence", help="TFLite, ONNX: of the weights, for the metadata")
    value_option(group, "opset", int, "ONNX: version of the operators (default 17)")
    group.add_argument("--layout", help="ONNX: NHWC (default) or NCHW")
    group.add_argument("--warmup", action="store_true", help="SavedModel: requests that the server warms up with")
    group.add_argument("--server-config", action="store_true", help="SavedModel: models.config and batching.config too")
    overwrite_option(parser)


def run(model: str, path: str, images: str | None, calibration: str | None, labelled: str | None,
        **options: Any) -> None:  # fmt: skip
    """Export, and print the report."""
    from keras_unetpp.data.images import list_images
    from keras_unetpp.exporting import export
    from keras_unetpp.exporting.samples import labelled_folder
    from keras_unetpp.formats import is_artefact
    from keras_unetpp.graph.describe import describe
    from keras_unetpp.zoo import load

    if is_artefact(model):
        raise InputError(f"export takes a zoo name or a .keras file. Received: {model}, which is exported already.")
    network = load(model)
    # What was not asked for is left out: each format has options of its own, and names those that it does not have.
    options = {name: value for name, value in options.items() if value is not None and value is not False} | {
        "size": options["size"],
        "verify": options["verify"],
    }
    if images is not None:
        options["images"] = list_images(images) if Path(images).is_dir() else [images]
    if calibration is not None:
        options["calibration"] = list_images(calibration)
    if labelled is not None:
        about = describe(network)
        options["labelled"] = labelled_folder(labelled, about.classes, len(about.sides))
    say(export(network, path, **options))
