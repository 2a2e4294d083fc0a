"""Good files that hold a network: models, weights, exports, runs, searches, a zoo."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from fuzzing.seeds import data

TRAINING: dict[str, Any] = {
    "epochs": 1,
    "crop": 16,
    "batch_size": 2,
    "val_every": 1,
    "augment": "none",
    "progress": False,
}
"""One short epoch."""
BACKBONE = "mobilenet_025"
"""The smallest of `keras.applications`."""


def tiny() -> Any:
    """A network of two levels and few weights, the same each time."""
    import keras

    import keras_unetpp as kup

    keras.utils.set_random_seed(0)
    return kup.build((None, None, 3), width=2, depth=2)


def _compiled() -> Any:
    model = tiny()
    model.compile("adam", loss="binary_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


def keras_file(folder: Path) -> None:
    """`.keras` with and without an optimizer, and of a part that was cut out."""
    import keras_unetpp as kup

    _compiled().save(folder / "compiled.keras")
    tiny().save(folder / "plain.keras")
    kup.prune(tiny(), 1).save(folder / "pruned.keras")


def h5_file(folder: Path) -> None:
    """Whole models in Keras' older format."""
    _compiled().save(folder / "compiled.h5")
    tiny().save(folder / "plain.h5")


def weights_file(folder: Path) -> None:
    """Weights by name, of both precisions."""
    from keras_unetpp import weights

    weights.save(tiny(), folder / "single.safetensors")
    weights.save(tiny(), folder / "half.safetensors", dtype="float16")


def backbone_file(folder: Path) -> None:
    """Weights of a network of `keras.applications`, as a file that was fetched by other means."""
    import keras

    from keras_unetpp.graph.encoders.families.applications import original

    keras.utils.set_random_seed(0)
    original(BACKBONE).save_weights(folder / "backbone.weights.h5")


def tflite(folder: Path) -> None:
    """TFLite of one level, float and with 8-bit weights."""
    import keras_unetpp as kup

    for name, quantize in (("float", None), ("dynamic", "dynamic")):
        kup.export(tiny(), folder / f"{name}.tflite", size=(16, 16), verify=False, quantize=quantize)
    _without_reports(folder)


def _without_reports(folder: Path) -> None:
    for path in folder.glob("*.json"):
        path.unlink()


def onnx(folder: Path) -> None:
    """ONNX with all levels."""
    import keras_unetpp as kup

    kup.export(tiny(), folder / "levels.onnx", verify=False)
    _without_reports(folder)


def saved_model(folder: Path) -> None:
    """A SavedModel folder."""
    import keras_unetpp as kup

    kup.export(tiny(), folder / "1", verify=False)
    _without_reports(folder)


def run(folder: Path) -> None:
    """A data folder and a finished run on it."""
    import keras_unetpp as kup

    data(folder / "set" / "data")
    kup.fit(tiny(), folder / "set" / "data", folder / "set" / "run", val_fraction=0.5, **TRAINING)
    _unrecorded(folder / "set", folder / "earlier")


def _unrecorded(source: Path, target: Path) -> None:
    """A copy that does not say what this package wrote, as of version 0.1.0, where changed files are read."""
    shutil.copytree(source, target)
    for path in target.rglob("keras_unetpp.json"):
        path.unlink()


def searched(folder: Path) -> Any:
    """Begin the search of a folder, or go on with it; a budget of latency leaves one file more."""
    import keras_unetpp as kup

    budget = kup.Budget(params=20_000, latency=10_000.0, size=(16, 16))
    return kup.search(
        folder / "data",
        folder / "search",
        budget,
        max_trials=1,
        repeat=0,
        val_fraction=0.5,
        depth=[1, 2],
        width=[2, 3],
        **TRAINING,
    )


def search(folder: Path) -> None:
    """A data folder and a finished search on it."""
    data(folder / "set" / "data")
    searched(folder / "set")
    _unrecorded(folder / "set", folder / "earlier")


def result(folder: Path) -> None:
    """The result of a search, which stands by itself."""
    search(folder)
    (folder / "set" / "search" / "result").rename(folder / "result")
    for left in ("set", "earlier"):
        shutil.rmtree(folder / left)


def zoo(folder: Path) -> None:
    """A zoo of one entry."""
    from keras_unetpp import weights

    entry = folder / "zoo" / "tiny"
    entry.mkdir(parents=True)
    (entry / "spec.json").write_text(tiny().spec.to_json(), encoding="utf-8")
    (entry / "card.md").write_text("A card.\n", encoding="utf-8")
    weights.save(tiny(), entry / "weights.safetensors")
    row = {
        "folder": "tiny",
        "summary": "Nothing",
        "licence": "MIT",
        "best_level": 1,
        "val_iou": 0.5,
        "sha256": _sums(entry),
    }
    (folder / "zoo" / "manifest.json").write_text(json.dumps({"tiny": row}), encoding="utf-8")


def signed(folder: Path) -> None:
    """Have the manifest of a zoo tell the sums of the files as they are, where it still can."""
    path = folder / "manifest.json"
    try:
        rows = json.loads(path.read_bytes())
        for name in ("spec.json", "weights.safetensors"):
            rows["tiny"]["sha256"][name] = _sums(folder / "tiny")[name]
        fresh = json.dumps(rows).encode()
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    path.write_bytes(fresh)


def _sums(entry: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(entry.iterdir())}
