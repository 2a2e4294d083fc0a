"""Commands ended by signals while they write: nothing half-written has a name, and the next one goes on."""

import os
import signal
import subprocess
import sys
import time

import keras
import pytest

from keras_unetpp.cli import main
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


def temporary(folder):
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "sent"),
    [
        ("run/run.json", signal.SIGKILL),
        ("run/.best.*", signal.SIGKILL),
        ("run/.last.*", signal.SIGKILL),
        ("run/last.keras", signal.SIGKILL),
        ("run/.last.*", signal.SIGTERM),
        ("run/.best.*", signal.SIGINT),
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
        (".1.new.*", "1", signal.SIGKILL),
        (".1.new.*", "1", signal.SIGINT),
        (".m.*", "m.onnx", signal.SIGKILL),
        (".s.*", "s.keras", signal.SIGKILL),
        (".s.*", "s.keras", signal.SIGTERM),
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
