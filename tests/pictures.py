"""Images for tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def disks(folder: Path, count: int = 6, side: int = 48, seed: int = 0) -> Path:
    """A data folder of bright disks on noise, with label masks."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    for number in range(count):
        labels = np.zeros((side, side), np.uint16)
        for disk in range(1, 4):
            row, column, radius = rng.integers(6, side - 6), rng.integers(6, side - 6), rng.integers(4, 9)
            labels[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = disk
        image = np.clip(40 + 120 * (labels > 0)[..., None] + rng.normal(0, 10, (side, side, 3)), 0, 255)
        for name, array in (("images", image.astype(np.uint8)), ("masks", labels)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / name / f"{number}.png")
    return folder
