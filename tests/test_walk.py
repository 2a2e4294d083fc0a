"""The way of a user, each command a process of its own: train, levels, predict, prune, export, predict with the file.

What one process knows proves nothing about the next, so nothing here imports the package.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

pytestmark = pytest.mark.slow

NETWORK = ("--width", "4", "--depth", "2", "--normalization", "rescale")
RECIPE = ("--batch-size", "2", "--crops-per-epoch", "16", "--learning-rate", "0.01")
AGREEMENT = 0.98
"""Part of the pixels on which a file of 8 bits must say what the model says."""


@dataclass(frozen=True)
class Kind:
    """A kind of data, and what the commands are told for it."""

    dtype: str = "uint8"
    channels: int = 3
    classes: int = 1
    sides: tuple[int, ...] = (48, 52)
    files: tuple[str, ...] = ("a.tflite", "a.onnx", "served/1")
    size: str = "48,52"
    crop: str = "32"
    epochs: int = 3


KINDS = {
    "binary": Kind(files=("a.tflite",)),
    "binary, other files": Kind(files=("a.onnx", "served/1")),
    "classes": Kind(classes=3, epochs=8),
    "sixteen": Kind(dtype="uint16", channels=1, files=("a.tflite", "a.onnx")),
    "volume": Kind(channels=1, sides=(16, 24, 28), files=("a.onnx",), size="16,24,28", crop="16"),
    "grey": Kind(channels=1, files=("a.tflite", "served/1")),
}


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="minisblack")
    else:
        Image.fromarray(array).save(path)


def data(folder: Path, kind: Kind) -> Path:
    """Bright balls, of several classes in several greys, on dark ground with noise."""
    rng, suffix = np.random.default_rng(0), ".png" if len(kind.sides) == 2 else ".tif"
    for number in range(6):
        ids = np.zeros(kind.sides, np.uint8)
        for ball in range(4):
            centre = [rng.integers(4, side - 4) for side in kind.sides]
            grid = np.ogrid[tuple(slice(side) for side in kind.sides)]
            distance = sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True))
            ids[distance < rng.integers(4, 8) ** 2] = 1 + ball % max(kind.classes - 1, 1)
        pixels = np.clip(40 + 90 * ids[..., None] + rng.normal(0, 8, (*kind.sides, kind.channels)), 0, 255)
        pixels = pixels.astype("uint8").astype(kind.dtype) * (257 if kind.dtype == "uint16" else 1)
        write(folder / "images" / f"{number}{suffix}", pixels[..., 0] if kind.channels == 1 else pixels)
        write(folder / "masks" / f"{number}{suffix}", ids if kind.classes > 1 else ids * 255)
    return folder


def run(folder: Path, *arguments: object) -> str:
    """One command in a process of its own; what it printed."""
    command = [sys.executable, "-m", "keras_unetpp", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-1500:]
    assert "Traceback" not in text
    assert not re.search(r"oneDNN|absl|retracing|WARNING", text), text
    return text


def probabilities(folder: Path, out: str, model: str, *more: object) -> dict[str, np.ndarray]:
    run(folder, "predict", "data/images", out, "--model", model, "--output", "probabilities", "--no-overlay", *more)
    return {path.stem: np.load(path) for path in sorted((folder / out).glob("*.npy"))}


def masks(folder: Path, out: str, model: str) -> dict[str, np.ndarray]:
    run(folder, "predict", "data/images", out, "--model", model, "--no-overlay")
    return {path.stem: np.asarray(Image.open(path)) for path in sorted((folder / out).glob("*.png"))}


def furthest(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


@pytest.mark.parametrize(
    "name", [name if name == "binary" else pytest.param(name, marks=pytest.mark.sweep) for name in KINDS]
)
def test_every_step_computes_what_the_step_before_did(name, tmp_path):
    kind = KINDS[name]
    data(tmp_path / "data", kind)
    shape = ",".join(["none"] * len(kind.sides) + [str(kind.channels)])
    said = run(tmp_path, "train", "--data", "data", "--out", "run", "--input-shape", shape, "--classes", kind.classes,
               "--crop", kind.crop, "--epochs", kind.epochs, *NETWORK, *RECIPE)  # fmt: skip
    assert "best model: run/best.keras" in said
    assert "note:" not in said
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert recorded["labels"] == ("classes" if kind.classes > 1 else "foreground")
    table = run(tmp_path, "levels", "--model", "run/best.keras", "--data", "data", "--repeat", "1")
    scores = {row.split()[0]: float(row.split()[-2]) for row in table.splitlines() if re.match(r"L\d|mean", row)}
    assert scores["L2"] > (0.5 if kind.classes == 1 else 0.3), table  # of one that learnt nothing: 0 or next to it
    whole = probabilities(tmp_path, "whole", "run/best.keras", "--level", "2")
    assert all(array.shape == (*kind.sides, kind.classes) for array in whole.values())
    assert len(whole) == 6
    run(tmp_path, "prune", "small.keras", "--model", "run", "--level", "2")
    assert furthest(whole, probabilities(tmp_path, "pruned", "small.keras")) < 1e-6
    for file in kind.files:
        size = ("--size", kind.size) if file.endswith(".tflite") else ()
        run(tmp_path, "export", "small.keras", file, *size)
        shipped = probabilities(tmp_path, f"by_{Path(file).name}", file)
        assert furthest(whole, shipped) < 1e-4


@pytest.mark.sweep
def test_8_bits_agree_on_the_masks(tmp_path):
    data(tmp_path / "data", KINDS["binary"])
    run(tmp_path, "train", "--data", "data", "--out", "run", "--crop", "32", "--epochs", 3, *NETWORK, *RECIPE)
    whole = masks(tmp_path, "whole", "run/best.keras")
    assert all(set(np.unique(mask)) == {0, 255} for mask in whole.values())
    for file, size in (("a.tflite", ("--size", "48,52")), ("a.onnx", ())):
        said = run(tmp_path, "export", "run/best.keras", file, "--levels", "2", *size, "--quantize", "int8",
                   "--calibration", "data/images", "--labelled", "data")  # fmt: skip
        assert "IoU" in said
        shipped = masks(tmp_path, f"by_{file}", file)
        equal = [np.mean(whole[name] == shipped[name]) for name in whole]
        assert min(equal) > AGREEMENT, (file, equal)
