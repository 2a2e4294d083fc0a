import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="test every backbone, not one of each family")


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


def stages():
    """A backbone of four layers a tap, at reductions 2, 4 and 8."""
    import keras
    from keras import layers

    image = x = keras.Input((None, None, 3))
    for stage in (1, 2, 3):
        x = layers.Conv2D(4 * stage, 3, strides=2, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = layers.BatchNormalization(name=f"bn{stage}")(x)
        squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"squeeze{stage}")(x)
        x = layers.Activation("silu", name=f"out{stage}")(layers.Multiply(name=f"scale{stage}")([x, squeezed]))
    return keras.Model(image, x)


@pytest.fixture(scope="session")
def small_backbone():
    """Name of a small registered backbone."""
    from keras_unetpp.graph.backbones import register_backbone

    return register_backbone("small_stages", stages, ["out1", "out2", "out3"], mean=(100, 110, 120), std=(50,) * 3).name


@pytest.fixture
def disk_folder(tmp_path):
    return disks(tmp_path / "data")
