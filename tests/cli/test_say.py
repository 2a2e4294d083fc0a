import os

import pytest
from pictures import disks

from keras_unetpp.cli import main
from keras_unetpp.cli.say import say, tell
from keras_unetpp.files import RECORD

EVIL = os.fsdecode(b"\xff\x1b]0;title\x07\x1b[2J")
SHOWN = r"\xff\x1b]0;title\x07\x1b[2J"


def test_nothing_acts_on_the_terminal(capsys):
    say(f"a {EVIL}\nb")
    tell(f"error:\n {EVIL}")
    told = capsys.readouterr()
    assert told.out == f"a {SHOWN}\nb\n"
    assert told.err == f"error: {SHOWN}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["predict", f"{EVIL}/in", "out"],
        ["train", "--data", EVIL, "--out", "run"],
        ["export", f"{EVIL}.keras", "a.onnx"],
        ["prune", EVIL],
        ["levels", "--model", f"{EVIL}.onnx"],
        ["data", EVIL],
        ["zoo", EVIL],
        [EVIL],
        ["predict", "in", "out", f"--{EVIL}"],
    ],
)
def test_errors_show_names_escaped(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert told.startswith("error: ")
    assert told.isprintable() or told.rstrip("\n").isprintable()
    assert os.listdir(tmp_path) == []


def test_images_and_runs_of_any_name(capsys, tmp_path):
    disks(tmp_path / "plain", 3, 24)
    for kind in ("images", "masks"):
        (tmp_path / EVIL / kind).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "plain" / kind / f"{number}.png").rename(tmp_path / EVIL / kind / f"{number}{EVIL}.png")
    data, run, out = (str(tmp_path / (name + EVIL)) for name in ("", "run", "out"))
    tiny = ["--depth", "1", "--width", "2", "--epochs", "1", "--crop", "16", "--batch-size", "2"]
    assert main(["train", "--data", data, "--out", run, *tiny]) == 0
    assert main(["predict", f"{data}/images", out, "--model", f"{run}/best.keras"]) == 0
    assert main(["prune", f"{run}/small.keras", "--model", run, "--level", "1"]) == 0
    told = capsys.readouterr()
    assert "\x1b]" not in told.out + told.err
    assert f"6 files in {tmp_path}/out{SHOWN}" in told.out
    assert len(os.listdir(out)) == 7
    assert main(["data", data, "--split", "0.4"]) == 2
    assert "is not UTF-8, so it cannot stand in" in capsys.readouterr().err


def test_prune_replaces_only_its_own(capsys, tmp_path):
    path = tmp_path / "small.keras"
    path.write_text("mine")
    assert main(["prune", str(path), "--level", "1"]) == 2
    assert "small.keras is there already, and this package did not write it" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main(["prune", str(path), "--level", "1", "--overwrite"]) == 0
    assert main(["prune", str(path), "--level", "1"]) == 0
    assert sorted(os.listdir(tmp_path)) == [RECORD, "small.keras"]
