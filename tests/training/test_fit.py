import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import keras
import numpy as np
import pytest
from PIL import Image

from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.recipe import Recipe
from keras_unetpp.training import losses
from keras_unetpp.training.fit import fit, prepare
from keras_unetpp.training.run import Run

TINY = {"crop": 16, "batch_size": 4, "crops_per_epoch": 8}


def tiny(**fields):
    keras.utils.set_random_seed(0)
    return build(**{"input_shape": (None, None, 3), "width": 4, "depth": 2, "normalization": "standardize", **fields})


def log(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_learns_and_leaves_everything_in_its_folder(disk_folder, tmp_path, capsys):
    out = tmp_path / "run"
    rows = fit(tiny(), disk_folder, out, epochs=12, learning_rate=0.02, val_every=4, **TINY)
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert [row["epoch"] for row in rows if "val_L2_iou" in row] == [4, 8, 12]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["val_L1_iou"] > 0.6
    assert {path.name for path in out.iterdir()} >= {"run.json", "log.csv", "last.keras", "best.keras", "tensorboard"}
    assert [int(row["epoch"]) for row in log(out)] == list(range(1, 13))
    assert "12 epochs of 2 steps" in capsys.readouterr().err
    best = keras.saving.load_model(out / "best.keras")
    assert best.spec == tiny().spec
    described = json.loads((out / "run.json").read_text())
    assert described["recipe"]["epochs"] == 12
    assert described["spec"]["normalization"] == "standardize"


def test_a_finished_run_started_again_only_returns_its_rows(disk_folder, tmp_path):
    first = fit(tiny(), disk_folder, tmp_path / "run", epochs=1, progress=False, **TINY)
    before = (tmp_path / "run" / "last.keras").stat().st_mtime_ns
    again = fit(tiny(), disk_folder, tmp_path / "run", epochs=1, progress=False, **TINY)
    assert again == first
    assert (tmp_path / "run" / "last.keras").stat().st_mtime_ns == before


def test_a_split_without_a_pixel_that_counts_is_told_before_training(disk_folder, tmp_path):
    index = ["file,split", *(f"{number}.png,{'train' if number else 'val'}" for number in range(6))]
    (disk_folder / "index.csv").write_text("\n".join(index))
    Image.new("L", (48, 48), 200).save(disk_folder / "masks" / "0.png")
    with pytest.raises(InputError, match=r"^Masks of val must hold pixels that count\. .* ignore_index=200\."):
        fit(tiny(), disk_folder, tmp_path / "run", epochs=1, ignore_index=200, progress=False, **TINY)
    assert not (tmp_path / "run" / "last.keras").exists()


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(disk_folder, tmp_path):
    settings = {"epochs": 4, "val_every": 2, "progress": False, **TINY}
    straight = fit(tiny(), disk_folder, tmp_path / "straight", **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), disk_folder, tmp_path / "stopped", callbacks=[Interrupt()], **settings)
    assert [int(row["epoch"]) for row in log(tmp_path / "stopped")] == [1, 2]
    resumed = fit(tiny(dropout=0.0), disk_folder, tmp_path / "stopped", **settings)
    assert [row["epoch"] for row in resumed] == [1, 2, 3, 4]
    for one, other in zip(straight, resumed, strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=2e-3)


@pytest.mark.slow
def test_a_killed_process_resumes_at_the_epoch_after_the_last_finished_one(disk_folder, tmp_path):
    out = tmp_path / "run"
    epochs = 2000
    options = f"--width 4 --depth 2 --epochs {epochs} --crop 16 --batch-size 4 --crops-per-epoch 4 --val-every 20"
    command = [sys.executable, "-m", "keras_unetpp", "train", "--data", disk_folder, "--out", out, *options.split()]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (out / "log.csv").exists() or len(log(out)) < 3:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not [path for path in out.iterdir() if path.suffix == ".tmp"]
    steps = int(keras.saving.load_model(out / "last.keras").optimizer.iterations)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    first = process.stderr.readline()
    while "resuming" not in first and first:
        first = process.stderr.readline()
    assert f"resuming after epoch {steps}" in first
    while (
        process.poll() is None
    ):  # Python loses an interrupt that meets it in a destructor; people press the keys again
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
    process.communicate()
    assert process.returncode == 130
    assert len(log(out)) < epochs


def test_patience_stops_and_stays_stopped(disk_folder, tmp_path):
    settings = {"epochs": 30, "learning_rate": 0.0, "patience": 2, "progress": False, **TINY}
    rows = fit(tiny(norm="none"), disk_folder, tmp_path / "run", **settings)
    assert len(rows) == 3
    assert len(fit(tiny(norm="none"), disk_folder, tmp_path / "run", **settings)) == 3


def test_other_settings_in_the_same_folder_are_refused(disk_folder, tmp_path):
    fit(tiny(), disk_folder, tmp_path / "run", epochs=1, progress=False, **TINY)
    with pytest.raises(InputError, match=r"recipe\.epochs = 1\. Received: 2\. Resume with the same settings"):
        fit(tiny(), disk_folder, tmp_path / "run", epochs=2, progress=False, **TINY)
    with pytest.raises(InputError, match=r"spec\.depth = 2\. Received: 1"):
        fit(tiny(depth=1), disk_folder, tmp_path / "run", epochs=1, progress=False, **TINY)
    with pytest.raises(InputError, match="holds a run already"):
        fit(tiny(), disk_folder, tmp_path / "run", epochs=1, resume=False, progress=False, **TINY)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_what_was_good(disk_folder, tmp_path):
    model = tiny()
    model.layers[2].bias.assign(np.full(4, np.nan))
    with pytest.raises(InputError, match="loss is not finite in epoch 1"):
        fit(model, disk_folder, tmp_path / "run", epochs=2, progress=False, **TINY)
    assert not (tmp_path / "run" / "last.keras").exists()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"crop": 30}, r"Recipe\.crop must be a multiple of 4, the reduction of the lowest row\. Received: 30"),
        ({"epochs": 0}, r"Recipe\.epochs must be a whole number of at least 1\. Received: 0"),
        ({"loss": "hinge"}, r"Recipe\.loss must be one of bce_dice, .*Received: 'hinge'"),
        ({"learning_rate": "big"}, r"Recipe\.learning_rate must be a number of at least 0\. Received: 'big'"),
        ({"epoch": 3}, r"Recipe has no field 'epoch'\. Did you mean 'epochs'\?"),
    ],
)
def test_settings_that_cannot_work_are_told_before_anything_is_written(disk_folder, tmp_path, fields, text):
    with pytest.raises(InputError, match=text):
        fit(tiny(), disk_folder, tmp_path / "run", **fields)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_told_before_training(disk_folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot write .*file/run: Not a directory$"):
        fit(tiny(), disk_folder, tmp_path / "file" / "run", epochs=1, **TINY)


def test_prepare_chooses_the_loss_that_fits_the_head():
    model = tiny(classes=3, head_activation="linear")
    prepare(model, Recipe(loss="cross_entropy", ignore_index=255), steps=10)
    loss = model.loss["L1"]
    assert isinstance(loss, losses.CrossEntropy)
    assert (loss.from_logits, loss.multi_label, loss.ignore_index) == (True, False, 255)
    prepare(tiny_sigmoid := tiny(classes=3, head_activation="sigmoid"), Recipe(), steps=10)
    assert tiny_sigmoid.loss["L2"].multi_label


def test_the_learning_rate_rises_and_falls_as_a_cosine():
    model = tiny()
    prepare(model, Recipe(epochs=10, warmup=0.1, learning_rate=0.01), steps=10)
    rate = model.optimizer._learning_rate
    values = [float(rate(step)) for step in (0, 10, 55, 100)]
    assert values == pytest.approx([0, 0.01, 0.005, 0], abs=1e-6)


def test_classes_and_volumes_train_too(tmp_path):
    import tifffile

    rng = np.random.default_rng(0)
    for number in range(3):
        volume = rng.integers(0, 255, (8, 16, 16), dtype=np.uint8)
        for name, array in (("images", volume), ("masks", (volume > 128).astype(np.uint8))):
            (tmp_path / name).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / name / f"{number}.tif", array)
    model = build((None, None, None, 1), width=2, depth=1, classes=2)
    rows = fit(model, tmp_path, tmp_path / "run", epochs=1, crop=8, batch_size=2, labels="classes", progress=False)
    assert 0 <= rows[-1]["val_L1_iou"] <= 1


def test_run_reads_back_what_it_wrote(tmp_path):
    run = Run(tmp_path)
    assert run.best_row() is None
    assert run.stale() == 0
    assert os.listdir(tmp_path) == []


def test_a_run_may_stop_early_and_go_on_with_the_same_schedule(disk_folder, tmp_path):
    settings = {"epochs": 3, "val_every": 3, "progress": False, **TINY}
    straight = fit(tiny(depth=1), disk_folder, tmp_path / "straight", **settings)
    first = fit(tiny(depth=1), disk_folder, tmp_path / "run", until=1, **settings)
    assert [row["epoch"] for row in first] == [1]
    assert "val_L1_iou" in first[0]
    assert fit(tiny(depth=1), disk_folder, tmp_path / "run", until=1, **settings) == first
    second = fit(tiny(depth=1), disk_folder, tmp_path / "run", until=9, **settings)
    assert [row["epoch"] for row in second] == [1, 2, 3]
    assert second[-1]["loss"] == pytest.approx(straight[-1]["loss"], rel=2e-3)


def test_labels_follow_from_the_network_and_are_written_down(tmp_path):
    folder = tmp_path / "data"
    rng = np.random.default_rng(0)
    for kind, shape in (("images", (32, 32, 3)), ("masks", (32, 32))):
        (folder / kind).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(rng.integers(0, 3, shape, dtype=np.uint8)).save(folder / kind / f"{number}.png")
    fields = {"epochs": 1, "crop": 16, "batch_size": 2, "progress": False, "class_weights": (1, 2, 3)}
    fit(build((None, None, 3), classes=3, width=2, depth=1), folder, tmp_path / "run", **fields)
    written = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert (written["labels"], written["class_weights"]) == ("classes", [1, 2, 3])
    fit(build((None, None, 3), classes=3, width=2, depth=1), folder, tmp_path / "run", labels="classes", **fields)
    with pytest.raises(InputError, match=r"^class_weights must hold 2 weights for a prediction of 1 channel"):
        fit(build((None, None, 3), width=2, depth=1), folder, tmp_path / "other", **fields)
    assert not (tmp_path / "other").exists()


def test_a_run_of_one_class_from_before_labels_followed_goes_on(disk_folder, tmp_path):
    fields = {"epochs": 1, "crop": 16, "batch_size": 2, "progress": False}
    rows = fit(build((None, None, 3), width=2, depth=1), disk_folder, tmp_path / "run", **fields)
    path = tmp_path / "run" / "run.json"
    written = json.loads(path.read_text())
    assert written["recipe"]["labels"] == "foreground"
    del written["recipe"]["class_weights"]  # as version 0.1.0 wrote it
    path.write_text(json.dumps(written))
    assert fit(build((None, None, 3), width=2, depth=1), disk_folder, tmp_path / "run", **fields) == rows


@pytest.mark.parametrize("weights", [(), (1, -1), (0, 0), (1, float("nan")), 2, "12", (True, 1)])
def test_class_weights_of_a_recipe(weights):
    with pytest.raises(
        InputError, match=r"^Recipe.class_weights must be numbers from 0 to 1,000,000, one a class, and"
    ):
        Recipe(class_weights=weights)


def test_a_recipe_takes_any_number_to_leave_out_and_comes_back_from_json():
    recipe = Recipe(ignore_index=-1, class_weights=[1, 2])
    assert recipe.class_weights == (1.0, 2.0)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.for_classes(1).labels == "foreground"
    assert Recipe(labels="foreground").for_classes(3).labels == "foreground"
