"""Faults of the machine, real ones: a disk that is full, a clock that goes back."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from leftovers import temporary
from sampling import sampled

from keras_unetpp.cli import main
from keras_unetpp.formats.keras_file import load_model
from keras_unetpp.graph.build import build
from keras_unetpp.recipe import Recipe
from keras_unetpp.training.fit import fit
from keras_unetpp.training.log import read_log

TRAIN = ["--depth", "1", "--width", "2", "--crop", "16", "--batch-size", "2", "--crops-per-epoch", "2"]

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec -= 86400;
    return result;
}
"""
"""What the clock on the wall shows a process is a day behind, as after a battery was changed or a laptop woke up."""


@pytest.fixture
def disk(tmp_path):
    """A function that makes a disk of so many KiB and gives its folder."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a file system needs root")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def refused(capsys, words):
    """The one line that a command on a full disk prints."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "No space left on device" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("size", sampled([16, 60, 120, 200], [120]))
def test_training_on_a_full_disk(disk, disk_folder, tmp_path, capsys, size):
    folder = disk(size)
    words = ["train", "--data", disk_folder, "--out", folder / "run", *TRAIN, "--epochs", "4"]
    refused(capsys, words)
    run = folder / "run"
    assert temporary(folder) == []
    done = len(read_log(run / "log.csv")) if (run / "log.csv").exists() else 0
    for name in ("best.keras", "last.keras"):
        if (run / name).exists():
            load_model(run / name)
    larger = shutil.copytree(run, tmp_path / "larger") if run.exists() else tmp_path / "larger"
    assert main([str(larger if word == run else word) for word in words]) == 0
    assert len(read_log(larger / "log.csv")) == 4 >= done


@pytest.mark.slow
def test_predictions_and_exports_on_a_full_disk(disk, disk_folder, tmp_path, capsys):
    model = tmp_path / "m.keras"
    build((None, None, 3), width=2, depth=1).save(model)
    folder = disk(32)
    (folder / "theirs").write_bytes(b"x" * 20000)
    refused(capsys, ["predict", disk_folder / "images", folder / "out", "--model", model, "--output", "probabilities"])
    for name in ("m.onnx", "m.tflite", "m/1"):
        refused(capsys, ["export", model, folder / name, "--size", "32,32", "--no-verify"])
    refused(capsys, ["prune", folder / "s.keras", "--model", model, "--level", "1"])
    assert temporary(folder) == []
    assert (folder / "theirs").read_bytes() == b"x" * 20000
    for path in (folder / "out").glob("*.npy"):
        assert path.stat().st_size > 128
    assert {path.name for path in folder.iterdir()} <= {"theirs", "out", "keras_unetpp.json", "m"}


@pytest.fixture(scope="module")
def back(tmp_path_factory):
    """The environment of a process whose clock goes back."""
    folder = tmp_path_factory.mktemp("clock")
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("a clock of its own for one process needs Linux and a C compiler")
    (folder / "clock.c").write_text(CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "clock.so", folder / "clock.c", "-ldl"], check=True)
    return os.environ | {"LD_PRELOAD": str(folder / "clock.so")}


def behind(environment, *words):
    """Run a command with that clock."""
    code = "import sys, time; from keras_unetpp.cli import main; print(time.time()); sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) < time.time() - 86000


@pytest.mark.slow
def test_training_goes_on_while_the_clock_goes_back(disk_folder, tmp_path, back):
    run = tmp_path / "run"
    recipe = Recipe(epochs=3, crop=16, batch_size=2, crops_per_epoch=2)
    before = fit(build((None, None, 3), width=2, depth=1), disk_folder, run, recipe, progress=False, until=2)
    assert len(before) == 2
    behind(back, "train", "--data", disk_folder, "--out", run, *TRAIN, "--epochs", "3")
    after = read_log(run / "log.csv")
    assert [row["epoch"] for row in after] == [1, 2, 3]
    assert after[: len(before)] == before


@pytest.mark.sweep
def test_a_search_goes_on_while_the_clock_goes_back(disk_folder, tmp_path, back):
    recipe = ["--crop", "16", "--batch-size", "2", "--crops-per-epoch", "2", "--epochs", "1"]
    words = ["search", "--data", disk_folder, "--out", tmp_path / "out", "--depth", "1", *recipe, "--max-params", "1e5"]
    assert main([*map(str, words), "--max-trials", "1"]) == 0
    trials = tmp_path / "out" / "trials"
    first = (trials / "0" / "log.csv").read_bytes()
    behind(back, *words, "--max-trials", "2")
    assert (trials / "0" / "log.csv").read_bytes() == first
    assert len(read_log(trials / "1" / "log.csv")) == 1
