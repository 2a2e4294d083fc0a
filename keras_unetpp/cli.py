"""The command line: options derived from `Spec` and `Recipe`, one-line errors, nothing heavy imported early."""

import argparse
import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from keras_unetpp.errors import InputError, InputWarning

_MODELS = "zoo name, .keras file, or exported file (.tflite, .onnx, folder of a SavedModel)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for input that can be mended, 130 when interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        options = vars(_parser().parse_args(arguments))
        command: Callable[..., None] = options.pop("run")
        with warnings.catch_warnings():
            warnings.showwarning = _note
            command(**options)
    except (InputError, OSError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where finished work was written", file=sys.stderr)
        return 130
    return 0


def _note(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """One line for a warning about input; those of other packages say nothing that helps here."""
    if issubclass(category, InputWarning):
        print("note:", message, file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise what `main` prints."""
        raise InputError(f"{message}. See {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="keras-unetpp", description="UNet++ for Keras: train, compare levels, cut.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = _command(
        commands,
        "train",
        "--data DIR --out RUN",
        _train,
        "train on images and masks, or go on with a stopped run",
    )
    train.add_argument("--data", required=True, help="folder with images/ and masks/, and index.csv if wanted")
    train.add_argument("--out", required=True, help="folder of the run")
    _network_options(train)
    _recipe_options(train)

    search = _command(commands, "search", "--data DIR --out DIR --max-params N", _search,
                      "search depth and width under a budget, or go on with a stopped search")  # fmt: skip
    search.add_argument("--data", required=True, help="folder with images/ and masks/, and index.csv if wanted")
    search.add_argument("--out", required=True, help="folder of the search")
    _search_options(search)
    _network_options(search)
    _recipe_options(search)

    predict = _command(commands, "predict", "IN OUT", _predict, "segment an image or a folder of images of any size")
    predict.add_argument("source", metavar="IN", help="image, or folder of images")
    predict.add_argument("out", metavar="OUT", help="folder for masks and overlays")
    _model_option(predict, _MODELS)
    _level_option(predict)
    predict.add_argument("--output", choices=["mask", "probabilities"], default="mask", help="PNG masks or .npy arrays")
    predict.add_argument("--threshold", type=float, default=0.5, help="of the mask (default 0.5)")
    predict.add_argument("--no-overlay", dest="overlay", action="store_false", help="write no overlay pictures")
    predict.add_argument("--skip-existing", action="store_true", help="go on with an interrupted run")

    levels = _command(commands, "levels", "", _levels, "what each level costs, and how fast and good it is")
    levels.add_argument("--model", help=f"{_MODELS}; without it, the network that the options describe")
    levels.add_argument("--data", help="folder of labelled images to score the levels of --model on")
    levels.add_argument("--size", type=_value, help="sides in pixels at which costs hold, for example 256,256")
    _network_options(levels)

    prune = _command(commands, "prune", "OUT", _prune, "cut one level out into a .keras file of stock layers")
    prune.add_argument("out", metavar="OUT", help="file to write, ending in .keras")
    _model_option(prune, "zoo name or .keras file")
    _level_option(prune)

    export = _command(commands, "export", "MODEL PATH", _export, "write a model for another runtime, and prove it")
    _export_options(export)

    _command(commands, "backbones", "", _backbones, "list the encoders that --backbone can name, and what they cost")

    zoo = _command(commands, "zoo", "[NAME]", _zoo, "list the trained models, or show the card of one")
    zoo.add_argument("name", nargs="?", help="entry whose card to show")
    return parser


def _command(commands: Any, name: str, usage: str, run: Callable[..., None], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, usage=f"keras-unetpp {name} {usage} [options]"
    )
    parser.set_defaults(run=run)
    return parser


def _model_option(parser: argparse.ArgumentParser, models: str) -> None:
    parser.add_argument("--model", default="nuclei-small", help=f"{models} (default nuclei-small)")


def _level_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--level", type=_value, help='1..d, or "mean" (default: best known, else the deepest)')


def _export_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", help="zoo name or .keras file")
    add("path", metavar="PATH", help="NAME.tflite, NAME.onnx, or a folder for a SavedModel, NAME/VERSION")
    add("--format", help="tflite, onnx or saved_model, where PATH does not tell")
    add("--levels", type=_value, help='1..d and "mean", comma-separated (default: all)')
    add("--size", type=_value, help="sides in pixels, for example 256,256 (TFLite needs them); none for any")
    add("--input", default="float32", help="float32, uint8, or image_bytes (SavedModel)")
    add("--output", default="probabilities", help="probabilities, mask, or logits")
    add("--labels", help="names of the classes, comma-separated")
    add("--no-verify", dest="verify", action="store_false", help="leave the proof out")
    add("--tolerance", type=float, help="largest difference of probabilities allowed (default: the format's)")
    add("--images", help="image or folder of images to compare on, besides random ones")
    group = parser.add_argument_group("8 bits")
    group.add_argument("--quantize", help="TFLite: float16, dynamic, int8_float_io, int8; ONNX: int8")
    group.add_argument("--calibration", help="folder of ten to hundred images, for the int8 modes")
    group.add_argument("--labelled", metavar="DATA", help="folder of labelled images; its val images are scored")
    group.add_argument("--max-drop", type=float, help="IoU or Dice that a level may lose on them (default 0.01)")
    group = parser.add_argument_group("of one format")
    group.add_argument("--author", help="TFLite, ONNX: of the model, for the metadata")
    group.add_argument("--licence", help="TFLite, ONNX: of the weights, for the metadata")
    group.add_argument("--opset", type=int, help="ONNX: version of the operators (default 17)")
    group.add_argument("--layout", help="ONNX: NHWC (default) or NCHW")
    group.add_argument("--warmup", action="store_true", help="SavedModel: requests that the server warms up with")
    group.add_argument("--server-config", action="store_true", help="SavedModel: models.config and batching.config too")


def _network_options(parser: argparse.ArgumentParser) -> None:
    from keras_unetpp.spec import PRESETS
    from keras_unetpp.spec.fields import FIELDS

    group = parser.add_argument_group("network")
    group.add_argument("--preset", help=f"start from {', '.join(PRESETS)}")
    _option(group, "width", {"help": "filters of row 0, doubled in each row below"})
    for name, item in FIELDS.items():
        _option(group, name, item.metadata)


def _search_options(parser: argparse.ArgumentParser) -> None:
    from keras_unetpp.search.budget import Budget

    group = parser.add_argument_group("budget, one limit at least")
    for item in dataclasses.fields(Budget):
        name = item.name if item.name == "size" else f"max-{item.name.replace('_', '-')}"
        group.add_argument(
            f"--{name}", dest=f"budget_{item.name}", type=_value, metavar="X", help=item.metadata["help"]
        )
    group = parser.add_argument_group(
        "search", "Fields of network and training below: one value holds for all trials, several (1,2,3) are searched."
    )
    group.add_argument("--tuner", default="random", help="random, bayesian, hyperband or grid (default random)")
    group.add_argument("--max-trials", type=_value, default=20, help="trials in all (default 20)")
    group.add_argument("--max-minutes", type=_value, help="no trial begins later than this")
    group.add_argument("--worker-timeout", type=_value, default=60.0,
                       help="seconds of silence before another worker takes a trial over (default 60)")  # fmt: skip
    group.add_argument("--shares", type=_value, default=4, help="widths on offer for each structure (default 4)")
    group.add_argument("--repeat", type=_value, default=5, help="timed runs of each trained level (default 5)")


def _recipe_options(parser: argparse.ArgumentParser) -> None:
    from keras_unetpp.recipe import Recipe

    group = parser.add_argument_group("training")
    for item in dataclasses.fields(Recipe):
        _option(group, item.name, item.metadata)


def _option(group: Any, name: str, about: Mapping[str, Any]) -> None:
    words = [str(word).lower() for word in about.get("allowed") or ()]
    text = about["help"] + (f": {', '.join(words)}" if words else "")
    group.add_argument(f"--{name.replace('_', '-')}", type=_value, default=argparse.SUPPRESS, metavar="X", help=text)


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

    fields = {name: options.pop(name) for name in (*FIELDS, "width") if name in options}
    preset = options.pop("preset")
    return Spec.preset(preset, **fields) if preset else Spec.from_dict(fields)


def _train(data: str, out: str, **options: Any) -> None:
    from keras_unetpp.recipe import Recipe

    spec = _spec(options)
    recipe = Recipe.from_dict(options)

    import keras

    from keras_unetpp.graph.build import build
    from keras_unetpp.training.fit import fit

    keras.utils.set_random_seed(recipe.seed)
    fit(build(spec), data, out, recipe)


def _search(data: str, out: str, preset: str | None, **options: Any) -> None:
    from keras_unetpp.search import Budget, search
    from keras_unetpp.spec import Spec

    limits = {name: options.pop(name) for name in list(options) if name.startswith("budget_")}
    budget = Budget(**{name.removeprefix("budget_"): value for name, value in limits.items()})
    print(search(data, out, budget, spec=None if preset is None else Spec.preset(preset), **options))


def _predict(source: str, out: str, model: str, level: Any, **options: Any) -> None:
    from keras_unetpp.folders import predict_folder

    network, best = _load(model)
    written = predict_folder(network, source, out, level=best if level is None else level, progress=True, **options)
    print(f"{len(written)} files in {out}")


def _levels(model: str | None, data: str | None, size: Any, **options: Any) -> None:
    from keras_unetpp.spec import level_costs, picture

    sides = (size,) if isinstance(size, int) else size
    if model is None:
        if data is not None:
            raise InputError("levels --data needs --model: a network without weights has no score.")
        spec = _spec(options)
        print(picture(spec), level_costs(spec, sides), sep="\n\n")
        return
    from keras_unetpp.pruning import levels

    print(levels(_load(model)[0], data, size=sides, progress=True))


def _load(model: str) -> tuple[Any, Any]:
    """A model by name or file, or an exported file, and the level that is known to be its best, or None."""
    from keras_unetpp import zoo
    from keras_unetpp.artefacts import Artefact, is_artefact

    if is_artefact(model):
        return Artefact(model), None
    return zoo.load(model), None if model.endswith(".keras") else zoo.entry(model).best_level


def _prune(out: str, model: str, level: Any) -> None:
    from pathlib import Path

    from keras_unetpp.artefacts import is_artefact
    from keras_unetpp.files import replacing
    from keras_unetpp.pruning import prune

    if Path(out).suffix != ".keras":
        raise InputError(f"OUT must end in .keras. Received: {out}.")
    if is_artefact(model):
        raise InputError(f"prune cuts models, not exported files. Received: {model}. Export the level that you want.")
    network, best = _load(model)
    small = prune(network, best if level is None else level)
    with replacing(out) as path:
        small.save(path)
    print(f"{small.name}: {small.count_params():,} parameters in {out}")


def _export(model: str, path: str, labels: str | None, images: str | None, calibration: str | None,
            labelled: str | None, **options: Any) -> None:  # fmt: skip
    from keras_unetpp.artefacts import is_artefact
    from keras_unetpp.export import export
    from keras_unetpp.export.samples import labelled_folder
    from keras_unetpp.graph.heads import heads
    from keras_unetpp.images import list_images
    from keras_unetpp.zoo import load

    if is_artefact(model):
        raise InputError(f"export takes a zoo name or a .keras file. Received: {model}, which is exported already.")
    network = load(model)
    # What was not asked for is left out: each format has options of its own, and names those that it does not have.
    options = {name: value for name, value in options.items() if value is not None and value is not False} | {
        "size": options["size"],
        "verify": options["verify"],
    }
    if labels is not None:
        options["labels"] = labels.split(",")
    if images is not None:
        options["images"] = list_images(images) if os.path.isdir(images) else [images]
    if calibration is not None:
        options["calibration"] = list_images(calibration)
    if labelled is not None:
        options["labelled"] = labelled_folder(labelled, int(next(iter(heads(network).values())).shape[-1]))
    print(export(network, path, **options))


def _backbones() -> None:
    from keras_unetpp.graph.backbones import backbones

    print(backbones())


def _zoo(name: str | None) -> None:
    from keras_unetpp import zoo

    print(zoo.list() if name is None else zoo.entry(name).card)
