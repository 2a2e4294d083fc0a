"""What a search tells while it runs: trials done, the best so far, time left."""

import sys
import time
from pathlib import Path
from typing import Any

from keras_unetpp.kit.errors import shown
from keras_unetpp.spec.names import head_name
from keras_unetpp.tuning.outcome import Outcome


class Display:
    """One line on standard error for each trial that begins or ends.

    Args:
        trials: folder of the trials.
        total: how many there will be; None if that is not known.
        deadline: `time.monotonic()` after which none begins; None for no such time.
        shown: if false, nothing is told.
    """

    def __init__(self, trials: Path, total: int | None, deadline: float | None, shown: bool) -> None:
        self.trials, self.total, self.deadline, self.shown = trials, total, deadline, shown
        self.spent: list[float] = []
        self.began: dict[str, float] = {}

    def start(self, candidates: int, done: int) -> None:
        """Tell how large the search is."""
        total = "" if self.total is None else f" of {self.total}"
        self._tell(f"{candidates:,} candidates keep the budget; {done}{total} trials done; results in {self.trials}")

    def on_begin(self, trial: Any) -> None:
        """A trial was handed out."""
        self.began[trial.trial_id] = time.monotonic()
        drawn = [f"{name} {value}" for name, value in trial.hyperparameters.values.items()]
        self._tell(f"trial {trial.trial_id}: {', '.join(drawn)}")

    def on_end(self, trial: Any) -> None:
        """A trial ended."""
        now = time.monotonic()
        self.spent.append(now - self.began.pop(trial.trial_id, now))
        outcomes = [one for path in self.trials.glob("*/outcome.json") if (one := Outcome.read(path.parent))]
        own = next((one for one in outcomes if one.trial == trial.trial_id), None)
        scored = [one for one in outcomes if one.levels]
        ended = "" if own is None else f"failed: {own.failed}" if own.failed else _levels(own)
        best = max(scored, key=lambda one: one.best.iou, default=None)
        parts = [
            f"trial {trial.trial_id} {ended}",
            f"{len(outcomes)}{'' if self.total is None else f' of {self.total}'} done",
        ]
        if best is not None:
            parts.append(f"best {best.best.iou:.4f} (trial {best.trial}, L{best.best.level})")
        parts += self._left(len(outcomes), now)
        self._tell("; ".join(parts))

    def _left(self, done: int, now: float) -> list[str]:
        """Time left, as far as it can be told."""
        left = []
        if self.total is not None:
            side_by_side = max(len(self.began), 1)
            left.append((self.total - done) * sum(self.spent) / len(self.spent) / side_by_side)
        if self.deadline is not None:
            left.append(max(self.deadline - now, 0.0))
        return [f"about {min(left) / 60:.0f} min left"] if left else []

    def _tell(self, line: str) -> None:
        if self.shown:
            print(shown(line), file=sys.stderr, flush=True)


def _levels(outcome: Outcome) -> str:
    return "val IoU " + "  ".join(f"{head_name(level.level)} {level.iou:.4f}" for level in outcome.levels)
