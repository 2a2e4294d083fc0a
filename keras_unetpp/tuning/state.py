"""KerasTuner's files in a search's folder, looked at before KerasTuner takes them as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_unetpp.kit.errors import InputError, brief
from keras_unetpp.kit.json_files import anything, each, fields, mapping, maybe, number, read_json, text, whole

WAY_OUT = "Put back the files of this search, or choose another folder."
STATUSES = ("RUNNING", "IDLE", "INVALID", "STOPPED", "COMPLETED", "FAILED")
_MOST_DIGITS = 9

_SPACE = fields({"space": each(mapping(anything)), "values": mapping(anything)})


def trial_id(value: Any) -> str:
    """The shape of a trial's id: digits."""
    good = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
    return "" if good else f"a trial's id is of digits, received {brief(value)}"


def _status(value: Any) -> str:
    return "" if value in STATUSES else f"one of {', '.join(STATUSES)} is required, received {brief(value)}"


_ORACLE = fields(
    {
        "ongoing_trials": mapping(trial_id),
        "hyperparameters": _SPACE,
        "start_order": each(trial_id),
        "end_order": each(trial_id),
        "run_times": mapping(whole(0)),
        "retry_queue": each(trial_id),
        "seed_state": whole(),
        "tried_so_far": each(text()),
        "id_to_hash": mapping(maybe(text())),
        "display": mapping(anything),
    }
)
_TRIAL = fields(
    {
        "trial_id": trial_id,
        "hyperparameters": _SPACE,
        "metrics": mapping(anything),
        "score": maybe(number()),
        "best_step": maybe(whole()),
        "status": _status,
        "message": maybe(text(2**20)),
    }
)


def check_state(folder: Path) -> None:
    """Raise `InputError` naming the file of KerasTuner's that is broken, or whose values cannot be."""
    state = read_json(folder / "oracle.json", _ORACLE, WAY_OUT)
    known = set()
    for path in folder.glob("trial_*/trial.json"):
        found = read_json(path, _TRIAL, WAY_OUT)["trial_id"]
        if path.parent.name != f"trial_{found}":
            raise InputError(f"{path} is about trial {found}. {WAY_OUT}")
        known.add(found)
    if missing := {*state["start_order"], *state["ongoing_trials"].values()} - known:
        raise InputError(f"{folder} lacks trial {', '.join(sorted(missing)[:5])}, which oracle.json names. {WAY_OUT}")


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Let what KerasTuner raises over values that only it knows be one line about its files."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:  # whatever a value of another type leads to
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InputError(f"KerasTuner cannot go on with {folder} ({why}). {WAY_OUT}") from error
