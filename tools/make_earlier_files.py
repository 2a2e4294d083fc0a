"""Makes tests/earlier/files_before_0_2.zip: files of every kind that version 0.1.0 wrote, and what it read from them.

Run once, on commit e3f4ae3, the last before the package was rearranged:

    git worktree add /tmp/earlier e3f4ae3
    PYTHONPATH=/tmp/earlier python tools/make_earlier_files.py tests/earlier/files_before_0_2.zip

expected.npz in it holds, as `FILE/LEVEL`, the probabilities that `segment` gave of `image` through that file; as
`FILE/LEVEL/mask` the masks; as `NETWORK/loss` what `evaluate` gave; as `NETWORK/costs` the parameters and
multiply-accumulates of each of `levels`; and what the network of the zoo gave. NETWORK.npz holds its weights,
NETWORK.json its Spec. No photograph is in it: `picture` draws the image.
"""

import importlib
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

VERSION = "0.1.0"
LEVELS = (1, 2, "mean")
SIDES = (37, 45)
"""Of the image: no multiples of 4, so that it is padded."""

NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {"width": 4, "depth": 2},
    "grouped": {
        "input_shape": (None, None, 3), "classes": 3, "topology": "unet+", "depth": 2, "filters": (4, 6, 8),
        "block": "preact", "norm": "group", "norm_groups": 2, "activation": "silu", "dropout": 0.1, "up": "bilinear",
        "normalization": "standardize", "head": "preact", "head_kernel": 3,
    },
}  # fmt: skip
"""Name -> what differs from the defaults of Spec."""

EXPORTED = "plain"
EXPORTS: dict[str, dict[str, Any]] = {
    "plain.onnx": {},
    "plain.tflite": {"size": (40, 48)},
    "plain-int8.tflite": {"size": (40, 48), "quantize": "int8"},
    "plain/1": {},
}
"""Path of an exported file of that network, and the options of `export`."""

ZOO = "nuclei-small"


def picture(sides: tuple[int, int]) -> np.ndarray:
    """Bright discs on a dark, noisy ground, (height, width, 3), uint8."""
    random = np.random.RandomState(0)  # its numbers stay the same in all versions of NumPy
    rows, columns = np.indices(sides)
    image = random.uniform(0, 40, (*sides, 3))
    for row, column, radius in zip(*random.uniform(0, 1, (3, 6)), strict=True):
        inside = np.hypot(rows - row * sides[0], columns - column * sides[1]) < 3 + 5 * radius
        image[inside] += 60 + 120 * radius
    return image.astype("uint8")


def network(kup: Any, name: str) -> Any:
    """A network with numbers in all of its weights, moving averages too, that was trained for one step."""
    model = kup.build(kup.Spec(**NETWORKS[name]))
    random = np.random.RandomState(len(name))
    for weight in model.weights:
        if weight.dtype == "float32":
            spread = np.sqrt(2 / np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 0.1
            mean = 1 if weight.path.endswith(("gamma", "moving_variance")) else 0
            weight.assign(mean + spread * random.randn(*weight.shape))
    model.compile(keras.optimizers.Adam(1e-3), kup.losses.BCEDice(), metrics=[kup.metrics.IoU()])
    model.fit(*batch(model.spec.classes), verbose=0)
    return model


def batch(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (2, 16, 24, 3) and class ids (2, 16, 24) to evaluate on."""
    images = np.stack([picture((16, 24)), picture((16, 24))[::-1]]).astype("float32")
    return images, (images.mean(-1) / 256 * max(classes, 2)).astype("uint8")


def segmented(kup: Any, file: str, model: Any, image: np.ndarray, levels: Any) -> dict[str, np.ndarray]:
    """What `segment` gives of an image at each level, probabilities and masks, by their keys in expected.npz."""
    found = {}
    for level in levels:
        found[f"{file}/{level}"] = kup.segment(model, image, level)
        found[f"{file}/{level}/mask"] = kup.segment(model, image, level, output="mask")
    return found


def keras_files(kup: Any, name: str, folder: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    """Write what Keras and safetensors hold of a network."""
    weights = importlib.import_module("keras_unetpp.weights")
    model = network(kup, name)
    found = {f"{name}/loss": np.array(model.evaluate(*batch(model.spec.classes), verbose=0)[0])}
    costs = [(row.cost.params, row.cost.macs) for row in kup.levels(model, repeat=0)]
    found[f"{name}/costs"] = np.array(costs)
    model.save(folder / f"{name}.keras")
    kup.prune(model, 1).save(folder / f"{name}-L1.keras")
    weights.save(model, folder / f"{name}.safetensors")
    np.savez_compressed(folder / f"{name}.npz", **weights.state(model))
    (folder / f"{name}.json").write_text(model.spec.to_json())
    loaded = kup.load(folder / f"{name}.keras")
    found |= segmented(kup, f"{name}.keras", loaded, image, LEVELS)
    return found | segmented(kup, f"{name}-L1.keras", kup.load(folder / f"{name}-L1.keras"), image, (None,))


def exported(kup: Any, folder: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    """Write the exported files."""
    found: dict[str, np.ndarray] = {}
    for file, options in EXPORTS.items():
        if "quantize" in options:
            options = {**options, "calibration": [picture((40, 48)), image]}
        print(kup.export(kup.load(folder / f"{EXPORTED}.keras"), folder / file, **options))
        found |= segmented(kup, file, kup.Artefact(folder / file), image, LEVELS)
    return found


def zoo(kup: Any, image: np.ndarray) -> dict[str, np.ndarray]:
    """What each head of the zoo's network gives."""
    predictor = kup.Predictor(kup.load(ZOO))
    heads = predictor(image).items()
    masks = {f"{ZOO}/{head}/mask": predictor.mask(values) for head, values in heads}
    return {f"{ZOO}/{head}": values for head, values in heads} | masks


def main(path: Path) -> None:
    """Write the zip file."""
    kup: Any = importlib.import_module("keras_unetpp")
    if kup.__version__ != VERSION:
        sys.exit(f"These files are to be made by version {VERSION}, see above. Received: {kup.__version__}.")
    image = picture(SIDES)
    found = {"image": image}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in NETWORKS:
            found |= keras_files(kup, name, folder, image)
        found |= exported(kup, folder, image)
        found |= zoo(kup, image)
        np.savez_compressed(folder / "expected.npz", **found)  # type: ignore[arg-type]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
            for one in sorted(folder.rglob("*")):
                file.write(one, one.relative_to(folder))
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
