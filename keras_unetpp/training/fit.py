"""Train a model on a folder of images and masks: data, schedule, validation, checkpoints, resume, progress."""

import importlib.util
import math
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras

from keras_unetpp.data.augment import augmentation
from keras_unetpp.data.crops import Crops, Sample, load
from keras_unetpp.data.data_folder import DataFolder, data_folder
from keras_unetpp.data.pixels import Ranges
from keras_unetpp.data.summary import contents, summarize
from keras_unetpp.data.survey import Survey
from keras_unetpp.files import FolderLock, is_text
from keras_unetpp.graph.describe import describe as describe_model
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.kit.errors import InputError, shown_lines
from keras_unetpp.kit.progress import track
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec.fields import Spec
from keras_unetpp.training import losses
from keras_unetpp.training.display import Display
from keras_unetpp.training.evaluate import evaluate, mean
from keras_unetpp.training.finetune import GradualUnfreezing, layers_of
from keras_unetpp.training.memory import check_memory as check_free
from keras_unetpp.training.memory import with_crop
from keras_unetpp.training.record import record
from keras_unetpp.training.run import Row, Run

LOSSES: dict[str, type[losses.SegmentationLoss]] = {
    "bce_dice": losses.BCEDice,
    "cross_entropy": losses.CrossEntropy,
    "dice": losses.Dice,
    "tversky": losses.Tversky,
    "focal": losses.Focal,
}


def fit(model: UNetPP, data: str | Path | DataFolder | Sequence[Sample], out: str | Path, recipe: Recipe | None = None,
        *, resume: bool = True, data_changed: bool = False, check_memory: bool = True, describe: bool = True,
        progress: bool = True, callbacks: Sequence[keras.callbacks.Callback] = (), until: int | None = None,
        overwrite: bool = False, shared: bool = False, **fields: Any) -> list[Row]:  # fmt: skip
    """Train a model on random crops, validate it on whole images, and keep everything in a folder.

    All files are checked before training starts, and what teaches nothing, or not what it seems to, is warned of. A run
    that was stopped or killed goes on after its last finished epoch when it is started again with the same settings and
    data. A second training into the same folder at the same time is an error.

    Args:
        model: from `build`; compiled here, and trained in place.
        data: a folder as `read_folder` takes it, a `DataFolder`, or samples.
        out: the run's folder; see `keras_unetpp.training.run` for what will be in it.
        recipe: settings; default `Recipe()`.
        resume: go on with the run in `out`, if there is one; else such a folder is an error.
        data_changed: go on with the run though images were added, removed or changed since; else that is an error.
        check_memory: refuse a training that does not fit the memory that is free; see `training.memory`.
        describe: show with the progress what the data is, and warn of what is odd about it.
        progress: show progress on the terminal.
        callbacks: more Keras callbacks.
        until: stop after this epoch, validated; the same call with a later one goes on. The schedule stays that of
            `Recipe.epochs`. Default: all epochs.
        overwrite: replace files of a run's names too that this package did not write, or those of a run that cannot go
            on.
        shared: whether other processes may train into the same folder, since they know of each other.
        fields: single fields of Recipe or `DataFolder`, by name.

    Returns:
        One row an epoch: `epoch`, `loss`, `L1_loss`, .., and on validated epochs `val_L1_iou`, `val_L1_dice`, ..
        (means over images at native size, threshold 0.5).

    Raises:
        InputError: data, settings or folder that cannot work, told before training starts; or a loss that became NaN.
    """
    spec = _spec(model)
    data = data_folder(data, fields)
    Recipe.check_names(fields)
    settings = Recipe.from_dict({**(recipe or Recipe()).to_dict(), **fields}).for_classes(spec.classes)
    keras.utils.set_random_seed(settings.seed)
    losses.check_class_weights(settings.class_weights, spec.classes)
    settings.crop_sides(spec.rank, spec.divisors)
    thaw = _thaw(model, settings)
    samples, left_out, source = contents(data, spec.rank)
    last = settings.epochs if until is None else min(until, settings.epochs)
    with nullcontext() if shared else FolderLock(out, "training"):
        run = Run(out, overwrite)
        spec = run.take_up(model, spec)
        settings = with_crop(run.crop_of(settings), spec, samples)
        sides = settings.crop_sides(spec.rank, spec.divisors)
        if check_memory:
            check_free(spec, sides, settings.batch_size)
        run.start(spec, settings, resume, record(samples), data_changed)
        survey = Survey(settings.ignore_index)
        crops, validation = _read(samples, settings, spec, sides, survey, progress)
        if describe:
            summary = summarize(survey, samples, left_out, source, settings.labels, spec.classes)
            if progress:
                print(shown_lines(summary), end="\n\n", file=sys.stderr)
            summary.tell()
        prepare(model, settings, len(crops))
        first = run.restore(model, len(crops))
        watch = _Epochs(run, settings, crops, validation, last)
        more = first < last and not watch.exhausted()
        run.secure(model, more)
        if more:
            _train(model, watch, first, [*thaw, watch, *_extra(watch, progress), *callbacks])
        elif progress:
            print(shown_lines(watch.why_finished(first)), file=sys.stderr)
    return run.rows


def _train(model: UNetPP, watch: "_Epochs", first: int, callbacks: list[keras.callbacks.Callback]) -> None:
    """Train from an epoch on, up to the last one that was asked for."""
    options: dict[str, Any] = {"shuffle": False, "verbose": 0, "callbacks": callbacks}
    model.fit(watch.crops, epochs=watch.last, initial_epoch=first, **options)


def _extra(watch: "_Epochs", progress: bool) -> list[keras.callbacks.Callback]:
    """TensorBoard, if it is installed and can write to such a path, and progress on the terminal."""
    folder = watch.run.folder
    possible = importlib.util.find_spec("tensorboard") and is_text(folder)
    board = [keras.callbacks.TensorBoard(folder / "tensorboard")] if possible else []
    return [*board, *([Display(watch.recipe.epochs, len(watch.crops), folder)] if progress else [])]


def _read(samples: list[Sample], recipe: Recipe, spec: Spec, sides: tuple[int, ...], survey: Survey,
          progress: bool) -> tuple[Crops, list[Sample]]:  # fmt: skip
    """The crops to train on and the samples to validate on, all read once; the survey looks on."""
    reading: dict[str, Any] = {"channels": spec.channels, "classes": spec.classes, "look": survey.look}
    reading |= {"labels": recipe.labels, "ignore_index": recipe.ignore_index}
    validation = [sample for sample in samples if sample.split == "val"]
    for sample in track(validation, "checking validation images", progress):
        load(sample, ndim=spec.rank, **reading)
    crops = Crops(
        [sample for sample in samples if sample.split == "train"],
        sides,
        **{name: getattr(recipe, name) for name in ("batch_size", "seed", "balance", "crops_per_epoch")},
        **reading,
        augment=augmentation(recipe.augment),
        workers=2,
    )
    survey.check_counts("val")
    return crops, validation


def _spec(model: UNetPP) -> Spec:
    """That of a model, or an `InputError` if it is none that can be trained here."""
    if not isinstance(model, UNetPP) or model.spec is None:
        raise InputError(
            "fit() trains a model that build() made, or one that was opened from its file. Received:"
            f" {getattr(model, 'name', model)!r}, {type(model).__name__}. To train a level that prune() cut out, pass"
            " UNetPP(level.input, level.output), which shares its weights."
        )
    return model.spec


def _thaw(model: UNetPP, recipe: Recipe) -> list[keras.callbacks.Callback]:
    """What a recipe says about backbones, as a callback; it comes before those that save the model."""
    said = (recipe.encoder_learning_rate, recipe.frozen_epochs, recipe.thaw_epochs)
    if said == (1.0, 0, 0):
        return []
    layers_of(model)  # raises for a model without one
    return [GradualUnfreezing(recipe.frozen_epochs, recipe.thaw_epochs)] if any(said[1:]) else []


def prepare(model: UNetPP, recipe: Recipe, steps: int) -> None:
    """Compile for a recipe: AdamW, whose weight decay leaves out biases and normalisation, and a cosine schedule.

    On CPU the just-in-time compiler makes a training step slower (see `tools/bench_training.py`), so it stays off.
    """
    total = recipe.epochs * steps
    warm = round(recipe.warmup * total)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warm else recipe.learning_rate,
        max(total - warm, 1),
        warmup_target=recipe.learning_rate if warm else None,
        warmup_steps=warm,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    about = describe_model(model)
    loss = LOSSES[recipe.loss](
        from_logits=about.activation == "linear",
        multi_label=about.classes > 1 and about.activation == "sigmoid",
        ignore_index=recipe.ignore_index,
        class_weights=recipe.class_weights,
    )
    model.compile(optimizer, loss=loss, jit_compile=False, encoder_learning_rate=recipe.encoder_learning_rate)
    model.optimizer.build(model.trainable_variables)


class _Epochs(keras.callbacks.Callback):
    """Before each epoch: choose its crops. After it: validate, write down, stop if it should."""

    def __init__(self, run: Run, recipe: Recipe, crops: Crops, validation: list[Sample], last: int) -> None:
        super().__init__()
        self.run, self.recipe, self.crops, self.validation, self.last = run, recipe, crops, validation, last
        self.told = Ranges("")  # images were looked at before training, so of their values there is nothing to tell

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras calls `Crops.on_epoch_end` once more than there are epochs, so the epoch is set, not counted."""
        self.crops.set_epoch(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch."""
        values = {} if logs is None else logs
        if not math.isfinite(float(values["loss"])):
            raise InputError(
                f"The loss is not finite in epoch {epoch + 1}. Lower learning_rate, or check the data; the run goes on"
                f" from {self.run.last} after that."
            )
        done = epoch + 1
        if done % self.recipe.val_every == 0 or done == self.last:
            values.update(self._validate())
        self.run.record(self.model, {"epoch": done, **{name: float(value) for name, value in values.items()}})
        if self.exhausted():
            self.model.stop_training = True

    def exhausted(self) -> bool:
        """Whether patience is at an end."""
        return self.recipe.patience is not None and self.run.stale() >= self.recipe.patience

    def why_finished(self, done: int) -> str:
        """Why there is nothing to train, and where the best model is."""
        folder, epochs = self.run.folder, self.recipe.epochs
        if done >= epochs:
            state = f"{folder} is finished, after {done} epochs."
        elif self.exhausted():
            state = (f"{folder} is finished: it stopped after {done} of {epochs} epochs, since {self.recipe.patience}"
                     " epochs brought no better validation.")  # fmt: skip
        else:
            state = f"{folder} has {done} of {epochs} epochs, up to the one that was asked for."
        return f"{state} {self.run.summary()}"

    def _validate(self) -> Row:
        options: dict[str, Any] = {"labels": self.recipe.labels, "ignore_index": self.recipe.ignore_index}
        scores = evaluate(self.model, self.validation, ranges=self.told, **options)
        rows: Row = {}
        for head in describe_model(self.model).outputs:
            _, rows[f"val_{head}_iou"], rows[f"val_{head}_dice"] = mean(scores, head)
        return rows
