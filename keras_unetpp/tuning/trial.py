"""One trial: a deeply supervised network trained in a folder of its own, and all its levels scored.

run.json, log.csv, last.keras, best.keras, tensorboard/   see `keras_unetpp.training.run`
attempts.json         how often the training was begun since its last finished epoch
owner                 who trains it now
outcome.json          the scores of the levels, or why there are none
weights.safetensors   of the best epoch
"""

import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from keras_unetpp import weights
from keras_unetpp.files import adopt, discard, replacing, write_text
from keras_unetpp.formats.keras_file import load_model
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.json_files import fields, read_json, whole
from keras_unetpp.pruning import levels
from keras_unetpp.training.fit import fit
from keras_unetpp.training.run import NAMES, Row, quality
from keras_unetpp.tuning.outcome import OUTCOME, WEIGHTS, Outcome, Scored
from keras_unetpp.tuning.space import Proposal

ATTEMPTS_FILE, OWNER = "attempts.json", "owner"

ATTEMPTS = 3
"""A training that was killed so often within one epoch is given up: most likely memory ran out."""

_COUNTED = fields({"stamp": whole(0), "count": whole(0)})

BEAT = 5.0
"""Seconds between a worker's signs of life."""


class Abandoned(Exception):
    """Another worker has taken the trial over, since this one was silent for too long."""


def run_trial(folder: Path, proposal: Proposal, data: Any, until: int, sides: tuple[int, ...], *,
              earlier: Path | None = None, repeat: int = 5, progress: bool = False, data_changed: bool = False,
              beat: Callable[[], None] = lambda: None) -> Outcome:  # fmt: skip
    """Train a network, or go on with it, and score all its levels.

    Args:
        folder: of the trial.
        proposal: what to train and how.
        data: as `fit` takes it.
        until: the last epoch.
        sides: of the image on which the levels are timed, in pixels.
        earlier: folder of a trial with the same proposal, to go on from.
        repeat: timed runs of each level; 0 times nothing.
        progress: show the training's progress.
        data_changed: as `fit` takes it.
        beat: called every few seconds while this runs.

    Raises:
        InputError: the loss became NaN, or the process died several times within one epoch.
        Abandoned: another worker goes on with the trial.
        OSError: the folder cannot be written.
        Exception: whatever else training raises, for example when memory runs out.
    """
    adopt(folder, (OUTCOME, WEIGHTS, ATTEMPTS_FILE, OWNER))
    known = Outcome.read(folder)
    if known is not None and known.epochs == until:
        return known
    if earlier is not None and not (folder / "last.keras").exists():
        _go_on_from(earlier, folder)
    start = time.perf_counter()
    with _owned(folder, beat) as check:
        _count_attempt(folder)
        keras.backend.clear_session()
        keras.utils.set_random_seed(proposal.recipe.seed)
        model = build(proposal.spec)
        guard = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: check())
        options: Any = {"until": until, "progress": progress, "data_changed": data_changed, "describe": False}
        options["shared"] = True  # the owner is known
        rows = fit(model, data, folder, proposal.recipe, callbacks=[guard], **options)
        best = max(rows, key=quality)
        trained: Any = load_model(folder / "best.keras")
        check()
        weights.save(trained, folder / WEIGHTS)
        scored = _score(trained, best, sides, repeat)
        spent = time.perf_counter() - start
        outcome = Outcome(folder.name, proposal.spec, proposal.recipe, until, int(best["epoch"]), scored, seconds=spent)
        write_text(folder / OUTCOME, outcome.to_json())
        discard(folder / ATTEMPTS_FILE)
    return outcome


def _score(model: Any, best: Row, sides: tuple[int, ...], repeat: int) -> tuple[Scored, ...]:
    table: Any = levels(model, size=sides, repeat=repeat)
    rows = {row.level: row for row in table}
    return tuple(
        Scored(level, best[f"val_L{level}_iou"], best[f"val_L{level}_dice"], rows[level].latency)
        for level in model.spec.levels
    )


def _go_on_from(earlier: Path, folder: Path) -> None:
    """Copy another trial's training; what says that there is one, `last.keras`, comes last."""
    if not (earlier / "last.keras").is_file():
        raise InputError(f"{earlier} holds no training to go on from. Has the folder of the search been tidied up?")
    for name in NAMES:
        source = earlier / name
        if source.is_symlink():
            raise InputError(f"{source} is a link, which no search made. Take the folder from where it came from.")
        if source.is_file():
            with replacing(folder / name) as temporary:
                shutil.copyfile(source, temporary)


def _count_attempt(folder: Path) -> None:
    """Give a training up that dies again and again before it finishes one more epoch."""
    path, last = folder / ATTEMPTS_FILE, folder / "last.keras"
    stamp = last.stat().st_mtime_ns if last.exists() else 0
    before = read_json(path, _COUNTED, "Remove it.") if path.is_file() else {}
    count = before.get("count", 0) + 1 if before.get("stamp") == stamp else 1
    if count > ATTEMPTS:
        raise InputError(
            f"The process died {ATTEMPTS} times within one epoch; most likely memory ran out. Search smaller networks,"
            " or lower batch_size or crop."
        )
    write_text(path, json.dumps({"stamp": stamp, "count": count}))


@contextmanager
def _owned(folder: Path, beat: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Claim a trial and give signs of life; yields what raises `Abandoned` once another worker has claimed it."""
    token, path = secrets.token_hex(8), folder / OWNER
    write_text(path, token)
    over, lost = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(BEAT):
            beat()
            if path.read_text(encoding="utf-8") != token:
                lost.set()

    def check() -> None:
        if lost.is_set():
            raise Abandoned(folder.name)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield check
    except KeyboardInterrupt:
        discard(folder / ATTEMPTS_FILE)
        raise
    finally:
        over.set()
        thread.join()
