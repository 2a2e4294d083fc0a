import json
import math
from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_unetpp.exporting import export
from keras_unetpp.exporting.accuracy import Accuracy
from keras_unetpp.exporting.place import replacing_folder
from keras_unetpp.exporting.verify import Report, Row, verify
from keras_unetpp.formats.functions import functions, signature
from keras_unetpp.formats.runtime import Opened
from keras_unetpp.formats.saved_model import run as runtime
from keras_unetpp.formats.saved_model import write as saved_model
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return build((None, None, 3), width=4, depth=2, normalization="standardize")


@pytest.fixture
def in_keras(monkeypatch):
    """Stands in for writing and running a SavedModel: the functions run here, `spoil` changes what they give."""

    def install(model, spoil=lambda name, values: values, **options):
        wanted = signature(model, **options)
        levels = functions(model, wanted)

        def runner(name):
            return lambda images: spoil(name, levels[name](images)[wanted.output].numpy())

        def write(model, path, signature, *, labels=None):
            path.mkdir()
            (path / "saved_model.pb").write_bytes(b"new")

        monkeypatch.setattr(runtime, "open", lambda *_: Opened({name: runner(name) for name in levels}, {}))
        monkeypatch.setattr(saved_model, "write", write)
        return wanted

    return install


@pytest.mark.parametrize("output", ["probabilities", "mask", "logits"])
@pytest.mark.parametrize("fields", [{}, {"classes": 3}, {"classes": 2, "head_activation": "sigmoid"},
                                    {"classes": 3, "head_activation": "linear"}])  # fmt: skip
def test_what_is_right_passes(fields, output, in_keras, tmp_path):
    model = build((None, None, 1), width=4, depth=1, **fields)
    wanted = in_keras(model, output=output)
    report = verify(tmp_path, "saved_model", model, wanted, images=[np.full((9, 7), 3, np.uint8)])
    (row,) = report.rows
    assert row.difference < 2e-6
    assert row.agreement > 0.99
    assert row.milliseconds > 0
    assert report.images == ((8, 8), (9, 12), (9, 7))


def spoiled(name, values):
    """One pixel of L2 is wrong."""
    values = values.copy()
    if name == "L2":
        values[0, 3, 4] = 1 - values[0, 3, 4]
    return values


def test_one_wrong_pixel_is_found(model, in_keras, tmp_path):
    wanted = in_keras(model, spoiled, levels=[1, 2], size=(12, 12))
    text = r"differs from the Keras model by more than the tolerance 0\.0001: L2 by 0\.\d+ at image \d of 2, position "
    with pytest.raises(InputError, match=text + r"\(3, 4, 0\)\.$"):
        verify(tmp_path, "saved_model", model, wanted)
    report = verify(tmp_path, "saved_model", model, wanted, tolerance=math.inf)
    assert report.tolerance is None
    assert report.rows[0].difference < 1e-5 < report.rows[1].difference


def test_one_wrong_pixel_of_a_mask_is_found(model, in_keras, tmp_path):
    wanted = in_keras(model, spoiled, levels=2, size=12, output="mask")
    with pytest.raises(InputError, match=r"L2 by 0\.\d+ at image \d of 2, position \(3, 4\)\.$"):
        verify(tmp_path, "saved_model", model, wanted)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda name, values: values * np.nan, r"L2 by inf at image 1 of 2, position \(0, 0, 0\)"),
        (
            lambda name, values: values[:, 1:],
            r"L2 of the file gives shape \(11, 12, 1\) .* where \(12, 12, 1\) is due\.",
        ),
    ],
)
def test_nothing_useful_is_found_too(model, in_keras, tmp_path, spoil, text):
    wanted = in_keras(model, spoil, levels=2, size=12)
    with pytest.raises(InputError, match=text):
        verify(tmp_path, "saved_model", model, wanted)


def test_a_level_that_the_file_lacks_is_named(model, in_keras, tmp_path):
    wanted = replace(in_keras(model, levels=1), levels=(1, 2))
    with pytest.raises(InputError, match=r"The file has no L2\. It has: L1\."):
        verify(tmp_path, "saved_model", model, wanted)


def test_a_wrong_file_never_takes_the_place_of_a_good_one(model, in_keras, tmp_path):
    path = tmp_path / "1"
    in_keras(model, levels=2, size=12)
    report = export(model, path, levels=2, size=12)
    assert json.loads((path / "assets.extra" / "report.json").read_text())["path"] == str(path) == report.path
    (path / "saved_model.pb").write_bytes(b"old")
    in_keras(model, spoiled, levels=2, size=12)
    with pytest.raises(InputError, match=r"/1 is there already, and this package did not write it, or it was changed"):
        export(model, path, levels=2, size=12)
    with pytest.raises(InputError, match=r"/1 was not put in place\. The file differs from the Keras model"):
        export(model, path, levels=2, size=12, overwrite=True)
    assert (path / "saved_model.pb").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["1"]
    export(model, path, levels=2, size=12, verify=False, overwrite=True)
    assert (path / "saved_model.pb").read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["1"]


def test_an_old_folder_comes_back_if_the_new_one_cannot_be_renamed(tmp_path):
    path = tmp_path / "1"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"old")
    with pytest.raises(OSError, match=r"cannot write .*/1: No such file"), replacing_folder(path):
        pass  # nothing is written, so there is nothing to rename
    assert (path / "saved_model.pb").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["1"]


def test_targets_that_cannot_be_written_are_told_before_the_work(model, in_keras, tmp_path, monkeypatch):
    in_keras(model)
    monkeypatch.setattr(saved_model, "write", lambda *arguments: pytest.fail("work was done"))
    (tmp_path / "file").write_text("")
    (tmp_path / "home" / "letters").mkdir(parents=True)
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(OSError, match=r"cannot write .*file/1: "):
        export(model, tmp_path / "file" / "1")
    with pytest.raises(InputError, match=r"home holds what this package did not write, so it is left alone: letters\."):
        export(model, tmp_path / "home")
    with pytest.raises(InputError, match=r"file is a file, not a folder, so it is left alone\."):
        export(model, tmp_path / "file")
    with pytest.raises(InputError, match=r"a\.onnx is a folder, not a file\."):
        export(model, tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("path", "options", "text"),
    [
        ("a.keras", {}, r"export writes \.tflite, \.onnx and SavedModel folders\. Received: .*a\.keras\."),
        ("a", {"format": "onxx"}, r"format must be one of 'tflite', 'onnx', 'saved_model'\. Received: 'onxx'\."),
        ("a", {"opset": 17}, r"saved_model has no option 'opset'\. Options: labels, warmup, server_config\."),
        ("a.onnx", {"label": ["a"]}, r"onnx has no option 'label'\. Did you mean 'labels'\? Options: opset, layout"),
        ("a", {"verify": "no"}, r"verify must be True or False\. Received: 'no'\."),
        ("a/1", {"server_config": "no"}, r"server_config must be True or False\. Received: 'no'\."),
        ("a", {"warmup": "no"}, r"warmup must be True or False\. Received: 'no'\."),
        ("a.onnx", {"server_config": True}, r"onnx has no option 'server_config'\."),
        ("a", {"levels": 5}, r"heads for level 1, 2 or 'mean'\. Received: 5\."),
    ],
)
def test_what_does_not_fit_is_named(model, tmp_path, path, options, text):
    with pytest.raises(InputError, match=text):
        export(model, tmp_path / path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_report_prints_as_a_table_and_reads_as_json():
    row = Row("L1", 1.23e-6, 0.99987, 4.56, "image 1 of 2, position (0, 0, 0)")
    report = Report("a.onnx", "onnx", 1_500_000, "uint8", "mask", (None, 32), ((32, 32), (9, 32)), 1e-4, (row,))
    assert str(report).splitlines() == [
        "a.onnx: onnx, 1.50 MB, uint8 in, mask out",
        "level  max difference  mask agreement  latency",
        "L1            1.2e-06        99.9870%   4.6 ms",
        "2 images compared, tolerance 0.0001; latency at 32x32, batch 1, 2 threads",
    ]
    assert json.loads(report.to_json())["rows"][0]["difference"] == 1.23e-6
    scored = replace(report, rows=(), accuracy=(Accuracy("L1", 0.8, 0.9, 0.81, 0.9),))
    assert str(scored).splitlines()[1:] == [
        "level     IoU  of the model    Dice  of the model",
        "L1     0.8000        0.8100  0.9000        0.9000",
        "not verified",
    ]
    assert json.loads(scored.to_json())["accuracy"][0]["model_iou"] == 0.81


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("m.tflite", {}, 1e-4),
        ("m.tflite", {"quantize": "float16"}, 1e-2),
        ("m.tflite", {"quantize": "dynamic"}, None),
        ("m.tflite", {"quantize": "int8_float_io"}, None),
        ("m.tflite", {"quantize": "int8"}, None),
        ("m.onnx", {}, 1e-4),
        ("m.onnx", {"quantize": "int8"}, None),
        ("1", {}, 1e-4),
    ],
)
def test_export_and_verify_go_by_the_same_tolerance(name, options, tolerance, tmp_path):
    if name == "m.onnx":
        pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
    keras.utils.set_random_seed(1)
    model = build((16, 16, 3), width=8, depth=1, deep_supervision=False)
    images = [np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8) for seed in range(4)]
    if str(options.get("quantize")).startswith("int8"):
        options = {**options, "calibration": images, "min_agreement": 0}
    made = export(model, tmp_path / name, size=16, **options)
    wanted = signature(model, size=16)
    again = verify(tmp_path / name, made.format, model, wanted, min_agreement=options.get("min_agreement"))
    assert made.tolerance == again.tolerance == tolerance
    assert [row.difference for row in made.rows] == [row.difference for row in again.rows]


def test_masks_are_compared_where_there_is_no_tolerance(in_keras, tmp_path):
    model = build((None, None, 1), width=4, depth=1)
    wanted = in_keras(model, lambda name, values: 1 - values)
    images = [np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)]
    with pytest.raises(InputError, match="mask"):
        verify(tmp_path, "saved_model", model, wanted, images, tolerance=math.inf)
    assert verify(tmp_path, "saved_model", model, wanted, images, tolerance=math.inf, min_agreement=0).rows
