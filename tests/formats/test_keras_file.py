"""Saved models opened in processes of their own: what one process knows proves nothing about the next."""

import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_unetpp as kup
from keras_unetpp.formats.keras_file import is_saved_model, load_model
from keras_unetpp.kit.errors import InputError, InputWarning

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 1)).astype("float32")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder of a UNet++ and of a plain model, both compiled and trained a step, each in both formats."""
    folder = tmp_path_factory.mktemp("saved")
    model = kup.build((None, None, 1), width=4, depth=2)
    plain = kup.prune(model, 2, copy=True)
    for name, one in (("whole", model), ("plain", plain)):
        one.compile("adam", loss=kup.losses.Tversky(), metrics=[kup.metrics.IoU(), kup.metrics.Dice()])
        one.fit(IMAGE, (IMAGE > 128).astype("uint8"), verbose=0)
        outputs = one(IMAGE)
        np.save(folder / f"{name}.npy", outputs["L2"] if isinstance(outputs, dict) else outputs)
        for suffix in (".keras", ".h5"):
            one.save(folder / f"{name}{suffix}")
    np.save(folder / "image.npy", IMAGE)
    return folder


def other_process(folder, imports, opened):
    """What a process of its own prints that opens both models in both formats."""
    code = f"""
import numpy as np
{imports}
for name in ("whole", "plain"):
    for suffix in (".keras", ".h5"):
        model = {opened}
        outputs = model(np.load("image.npy"))
        outputs = outputs["L2"] if isinstance(outputs, dict) else outputs
        print(name, suffix, float(np.abs(outputs - np.load(name + ".npy")).max()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("imports", "opened"),
    [
        ("import keras_unetpp as kup", "kup.load(name + suffix)"),
        pytest.param(
            "import keras_unetpp\nimport keras", "keras.models.load_model(name + suffix)", marks=pytest.mark.sweep
        ),
        ("import keras\nimport keras_unetpp", "keras.models.load_model(name + suffix)"),
        pytest.param(
            "import tensorflow as tf\nimport keras_unetpp",
            "tf.keras.models.load_model(name + suffix)",
            marks=pytest.mark.sweep,
        ),
        pytest.param(
            "from keras_unetpp import weights\nimport keras",
            "keras.saving.load_model(name + suffix)",
            marks=pytest.mark.sweep,
        ),
        pytest.param(
            "import keras_unetpp.training.targets, keras",
            "keras.saving.load_model(name + suffix)",
            marks=pytest.mark.sweep,
        ),
        pytest.param(
            "import keras_unetpp.graph.encoders.encode, keras",
            "keras.saving.load_model(name + suffix)",
            marks=pytest.mark.sweep,
        ),
    ],
    ids=["load", "ours first", "keras first", "tf.keras", "a part", "a part of training", "a part of graph"],
)
def test_another_process_opens_what_was_saved(saved, imports, opened):
    lines = other_process(saved, imports, opened)
    assert lines == [f"{name} {suffix} 0.0" for name in ("whole", "plain") for suffix in (".keras", ".h5")]


def test_importing_keras_is_left_as_it_was():
    code = (
        "import sys, keras_unetpp, keras, inspect; from keras_unetpp.kit import imports\n"
        "print(type(keras.__spec__.loader).__name__, type(keras.__loader__).__name__)\n"
        "print([finder for finder in sys.meta_path if isinstance(finder, imports._Finder)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["SourceFileLoader SourceFileLoader", "[]"]


def test_the_folder_of_a_run_stands_for_its_best_model(saved, tmp_path):
    (tmp_path / "best.keras").write_bytes((saved / "whole.keras").read_bytes())
    assert is_saved_model(tmp_path)
    found = kup.load(tmp_path)(IMAGE)["L2"]
    np.testing.assert_array_equal(found, np.load(saved / "whole.npy"))


class Own(keras.losses.Loss):
    """A loss of the user's that no other process has."""

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred))


def test_a_model_of_an_unknown_loss_opens_without_it(saved, tmp_path):
    model = kup.load(saved / "plain.keras")
    model.compile("adam", loss=Own())
    model.save(tmp_path / "own.keras")
    with pytest.warns(InputWarning, match="own.keras was compiled with something that is not known here .*'Own'"):
        found = kup.load(tmp_path / "own.keras")
    np.testing.assert_array_equal(found(IMAGE), np.load(saved / "plain.npy"))


def damaged(folder, how, good):
    path = folder / "bad.keras"
    if how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("no model")
    elif how == "cut":
        path.write_bytes(good.read_bytes()[:-100])
    elif how == "changed":
        data = bytearray(good.read_bytes())
        data[len(data) // 2] ^= 255
        path.write_bytes(data)
    elif how == "other":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "[1, 2")
    elif how == "folder":
        path.mkdir()
    elif how == "weights":
        path = folder / "bad.weights.h5"
        kup.load(good).save_weights(path)
    return path


@pytest.mark.parametrize("how", ["missing", "empty", "text", "cut", "changed", "other", "folder", "weights"])
def test_what_is_no_model_is_one_line(saved, tmp_path, how):
    path = damaged(tmp_path, how, saved / "plain.keras")
    with pytest.raises(InputError, match="bad") as error:
        load_model(path)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 600


def test_other_files_are_told_where_they_go(tmp_path):
    with pytest.raises(InputError, match=r"an exported file. Open it with kup.Artefact"):
        kup.load(tmp_path / "a.tflite")
