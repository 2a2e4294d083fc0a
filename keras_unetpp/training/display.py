"""What a training run shows: a live bar on a terminal, one line an epoch elsewhere."""

import time
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from keras_unetpp.kit.errors import shown


class Display(keras.callbacks.Callback):
    """Epochs and steps with the loss, the last validation and the time left.

    Args:
        epochs: of the whole run.
        steps: of an epoch.
        folder: where the results are, told at both ends.
    """

    def __init__(self, epochs: int, steps: int, folder: Path) -> None:
        super().__init__()
        self.epochs, self.steps, self.folder = epochs, steps, folder
        self.console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        live = self.console.is_terminal
        self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console, disable=not live)
        self.task = self.bar.add_task("training", total=epochs * steps)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Say where the results will be."""
        done = int(self.model.optimizer.iterations)
        resumed = f", resuming after epoch {done // self.steps}" if done else ""
        epochs = f"{self.epochs} epoch{'s' * (self.epochs != 1)}"
        self._say(f"{epochs} of {self.steps} step{'s' * (self.steps != 1)} into {self.folder}{resumed}")
        self.bar.update(self.task, completed=done)
        self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the epoch's clock."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar."""
        self.bar.advance(self.task)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """One line with the loss and, where there is one, the validation."""
        values = logs or {}
        iou = "  ".join(f"{name[4:-4]} {value:.4f}" for name, value in values.items() if name.endswith("_iou"))
        line = f"epoch {epoch + 1:3d}  loss {float(values['loss']):.4f}  {time.perf_counter() - self.began:4.0f} s"
        self.bar.console.print(line + (f"  val IoU {iou}" if iou else ""), highlight=False, soft_wrap=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Say where the results are."""
        self.bar.stop()
        self._say(f"best model: {self.folder / 'best.keras'}")

    def _say(self, line: str) -> None:
        self.console.print(shown(line), highlight=False, soft_wrap=True, markup=False)
