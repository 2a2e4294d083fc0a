"""Commands ended by signals while they write: nothing half-written has a name, and the next one goes on."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from leftovers import temporary
from pictures import disks

from keras_unetpp.cli import main
from keras_unetpp.data.images import write_png
from keras_unetpp.files import RECORD
from keras_unetpp.graph.build import build

TRAIN = [
    "--depth",
    "1",
    "--width",
    "2",
    "--epochs",
    "400",
    "--crop",
    "16",
    "--batch-size",
    "2",
    "--crops-per-epoch",
    "2",
]


def ended(folder, pattern, sent, *words):
    """Run a command, send a signal once there is a file of a pattern, and return its exit code."""
    code = "import sys; from keras_unetpp.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob(pattern)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(sent)
        process.wait(60)
    return process.returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "sent"),
    [
        pytest.param("run/run.json", signal.SIGKILL, marks=pytest.mark.sweep),
        pytest.param("run/.best.*", signal.SIGKILL, marks=pytest.mark.sweep),
        ("run/.last.*", signal.SIGKILL),
        pytest.param("run/last.keras", signal.SIGKILL, marks=pytest.mark.sweep),
        pytest.param("run/.last.*", signal.SIGTERM, marks=pytest.mark.sweep),
        pytest.param("run/.best.*", signal.SIGINT, marks=pytest.mark.sweep),
    ],
)
def test_training(disk_folder, tmp_path, pattern, sent):
    run = tmp_path / "run"
    code = ended(tmp_path, pattern, sent, "train", "--data", disk_folder, "--out", run, *TRAIN)
    assert code == (130 if sent == signal.SIGINT else -sent)
    for name in ("best.keras", "last.keras"):
        if (run / name).exists():
            keras.saving.load_model(run / name)
    if sent == signal.SIGINT:
        assert temporary(run) == []
    few = ["7" if word == "400" else word for word in TRAIN]
    second = ended(tmp_path, "none", signal.SIGINT, "train", "--data", disk_folder, "--out", run, *few)
    assert second in (0, 2)  # 2: last.keras is there, and the run is one of 400 epochs
    assert temporary(run) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "target", "sent"),
    [
        pytest.param(".1.new.*", "1", signal.SIGKILL, marks=pytest.mark.sweep),
        (".1.new.*", "1", signal.SIGINT),
        pytest.param(".m.*", "m.onnx", signal.SIGKILL, marks=pytest.mark.sweep),
        pytest.param(".s.*", "s.keras", signal.SIGKILL, marks=pytest.mark.sweep),
        pytest.param(".s.*", "s.keras", signal.SIGTERM, marks=pytest.mark.sweep),
    ],
)
def test_export_and_prune(tmp_path_factory, tmp_path, pattern, target, sent):
    model = tmp_path_factory.mktemp("model") / "in.keras"
    build((None, None, 3), width=2, depth=1).save(model)
    words = ["export", str(model), target, "--no-verify"]
    if target.endswith(".keras"):
        words = ["prune", target, "--model", str(model), "--level", "1"]
    code = ended(tmp_path, pattern, sent, *words)
    assert code == (130 if sent == signal.SIGINT else -sent)
    assert target not in os.listdir(tmp_path)
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert main(words) == 0
    finally:
        os.chdir(here)
    assert target in os.listdir(tmp_path)
    assert temporary(tmp_path) == []
    assert set(os.listdir(tmp_path)) <= {target, f"{target}.json", RECORD}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "sent"),
    [
        ("out/.*", signal.SIGKILL),
        pytest.param("out/0.npy", signal.SIGTERM, marks=pytest.mark.sweep),
        pytest.param("out/1.npy", signal.SIGINT, marks=pytest.mark.sweep),
    ],
)
def test_predict(tmp_path_factory, tmp_path, pattern, sent):
    model = tmp_path_factory.mktemp("model") / "in.keras"
    build((None, None, 3), width=2, depth=1).save(model)
    source = disks(tmp_path_factory.mktemp("data"), side=256, count=12) / "images"
    words = ["predict", str(source), str(tmp_path / "out"), "--model", str(model), "--output", "probabilities"]
    code = ended(tmp_path, pattern, sent, *words)
    assert code == (130 if sent == signal.SIGINT else -sent)
    done = [path for path in (tmp_path / "out").glob("[!.]*.npy") if np.load(path).shape == (256, 256, 1)]
    before = {path: path.stat().st_mtime_ns for path in done}
    assert main([*words, "--skip-existing"]) == 0
    assert len(list((tmp_path / "out").glob("*.npy"))) == 12
    assert temporary(tmp_path) == []
    whole = [path for path in done if path.with_name(f"{path.stem}_overlay.png").exists()]
    assert sum(path.stat().st_mtime_ns == before[path] for path in done) >= len(whole) - 1


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_search(disk_folder, tmp_path, sent):
    out = tmp_path / "out"
    recipe = ["--crop", "16", "--batch-size", "2", "--crops-per-epoch", "2", "--epochs", "1"]
    words = ["search", "--data", str(disk_folder), "--out", str(out), "--depth", "1", *recipe, "--max-params", "1e5"]
    code = ended(tmp_path, "out/trials/0/.best.*", sent, *words, "--max-trials", "2")
    assert code == (130 if sent == signal.SIGINT else -sent)
    assert main([*words, "--max-trials", "2"]) == 0
    for trial in ("0", "1"):
        keras.saving.load_model(out / "trials" / trial / "best.keras")
    assert temporary(out) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [signal.SIGKILL, *(pytest.param(sent, marks=pytest.mark.sweep) for sent in (signal.SIGTERM, signal.SIGINT))],
)
def test_data_convert(tmp_path, sent):
    source = tmp_path / "labelled"
    source.mkdir()
    for number in range(60):
        write_png(source / f"{number}.png", np.zeros((400, 400), np.uint8))
        shape = {"label": "cell", "points": [[5, 5], [300, 5], [300, 300]], "shape_type": "polygon"}
        about = {"imagePath": f"{number}.png", "imageHeight": 400, "imageWidth": 400, "shapes": [shape]}
        (source / f"{number}.json").write_text(json.dumps(about))
    words = ["data", "convert", str(source), str(tmp_path / "made"), "--format", "labelme"]
    code = ended(tmp_path, ".made.new.*/*/masks/*.png", sent, *words)
    assert code == (130 if sent == signal.SIGINT else -sent)
    assert not (tmp_path / "made").exists()
    assert main(words) == 0
    assert len(list((tmp_path / "made" / "masks").iterdir())) == 60
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []
