"""What a user can get wrong: one line, exit code 2, before the work where that is possible, and no good file lost."""

import errno
import os
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_unetpp.cli import main
from keras_unetpp.graph.build import build
from keras_unetpp.kit import requirements

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed: pip install 'keras-unetpp[mobile]'")
pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    model = build((None, None, 3), width=2, depth=1)
    model.save(folder / "good.keras")
    kernel = model.get_layer("x_0_0_conv1").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save(folder / "nan.keras")
    return folder


@pytest.fixture
def targets(tmp_path):
    """A good file of each format."""
    for name in ("a.tflite", "a.onnx", "cells/1/saved_model.pb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"good")
    return tmp_path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys, models, target, *options, model="good.keras"):
    """The one line that the command line prints; whatever was there is still there."""
    before = contents(target.parent)
    assert main(["export", str(models / model), str(target), "--overwrite", *map(str, options)]) == 2
    assert contents(target.parent) == before
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("target", "options", "text"),
    [
        ("a.tflite", ["--size", 16, "--quantize", "int8"], "needs calibration=, some ten to hundred images like those"),
        ("a.onnx", ["--quantize", "int8"], "needs calibration=, some ten to hundred images like those to come."),
        (
            "a.tflite",
            [],
            "The sides of a .tflite file are fixed. Received: (None, None). Pass size=, for example size=256.",
        ),
        ("a.tflite", ["--size", "none,16"], "The sides of a .tflite file are fixed. Received: (None, 16)."),
        ("cells/1", ["--levels", 3], "This model has heads for level 1. Received: 3."),
        ("a.onnx", ["--levels", "1,mean"], "This model has heads for level 1. Received: 'mean'."),
        ("a.onnx", ["--warmup"], "onnx has no option 'warmup'. Options: opset, layout"),
        ("cells/1", ["--max-drop", 0.1], "saved_model has no option 'max_drop'. Options: labels, warmup"),
        ("a.onnx", ["--layout", "NHCW"], "layout must be 'NHWC' or 'NCHW'. Received: 'NHCW'."),
        ("a.onnx", ["--labelled", "nowhere"], "nowhere"),
        ("a.onnx", ["--images", "nothing.png"], "nothing.png"),
        ("a.onnx", ["--tolerance", "-1"], "tolerance must be a number of at least 0. Received: -1"),
        ("a.onnx", ["--tolerance", "some"], "tolerance must be a number of at least 0. Received: 'some'."),
        ("a.onnx", ["--format", "tf"], "format must be one of 'tflite', 'onnx', 'saved_model'. Received: 'tf'."),
    ],
)
def test_options_that_do_not_fit(target, options, text, capsys, models, targets):
    assert text in refused(capsys, models, targets / target, *options)


def test_weights_that_are_not_finite(capsys, models, targets):
    line = refused(capsys, models, targets / "a.onnx", model="nan.keras")
    assert "nan.keras must hold finite weights. Received: NaN or infinity in x_0_0_conv1/kernel." in line


@pytest.mark.parametrize(("target", "extra"), [("a.tflite", "mobile"), ("a.onnx", "onnx")])
def test_a_missing_extra(target, extra, capsys, models, targets, monkeypatch):
    own = requirements.find_spec
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if "tensor" not in name else own(name))
    line = refused(capsys, models, targets / target, "--size", 16)
    assert f"Install: pip install 'keras-unetpp[{extra}]'." in line


@pytest.mark.parametrize("target", ["a.tflite", "a.onnx"])
def test_a_full_disk(target, capsys, models, targets, monkeypatch):
    def full(path, data):
        with open(path, "wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        line = refused(capsys, models, targets / target, "--size", 16, "--no-verify")
    assert line == f"error: [Errno {errno.ENOSPC}] cannot write {targets / target}: No space left on device"


@pytest.mark.parametrize("target", ["a.tflite", "a.onnx", "cells/1"])
def test_a_read_only_target_is_told_before_the_work(target, capsys, models, targets, monkeypatch):
    def read_only(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "write_bytes", read_only)
    monkeypatch.setattr("keras_unetpp.exporting.place.placing", lambda *_: pytest.fail("work was done"))
    line = refused(capsys, models, targets / target, "--size", 16)
    assert line == f"error: [Errno {errno.EROFS}] cannot write {targets / target}: Read-only file system"


def test_every_option_reaches_its_format(capsys, models, disk_folder, tmp_path):
    source, target = str(models / "good.keras"), tmp_path / "a.onnx"
    images = str(disk_folder / "images")
    options = {"--levels": "1", "--size": "48", "--input": "uint8", "--output": "logits", "--labels": "cell",
               "--quantize": "int8", "--calibration": images, "--labelled": str(disk_folder), "--max-drop": "1",
               "--opset": "16", "--layout": "NCHW", "--author": "A", "--licence": "B", "--tolerance": "inf",
               "--images": images + "/0.png"}  # fmt: skip
    assert main(["export", source, str(target), *(word for pair in options.items() for word in pair)]) == 0
    shown = capsys.readouterr().out
    assert "onnx, 0.0" in shown
    assert "uint8 in, logits out" in shown
    assert "of the model" in shown
    assert "3 images compared, any difference allowed; latency at 48x48" in shown
