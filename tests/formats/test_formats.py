import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_unetpp.exporting import export
from keras_unetpp.formats import FORMATS, Format, Mode, is_artefact, named, of_path
from keras_unetpp.formats.artefact import Artefact, open_file
from keras_unetpp.formats.functions import signature
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.prediction.predictor import segment


def test_suffixes_tell_the_formats_apart():
    assert sorted(row.suffix for row in FORMATS.values()) == ["", ".onnx", ".tflite"]
    for name, row in FORMATS.items():
        assert named(name) is of_path(f"Folder.d/m{row.suffix.upper()}") is row
        assert is_artefact(f"m{row.suffix}") is bool(row.suffix)
        assert bool(row.parts) is bool(row.mark) is not bool(row.suffix)


@pytest.mark.parametrize("row", FORMATS.values(), ids=list(FORMATS))
def test_a_row_has_its_writer_its_runner_and_its_words(row):
    assert row.writer.write.__doc__
    assert row.runner.open.__doc__
    assert row.runner.opened.__doc__
    assert all((row.title, row.words, row.broken))
    assert len({mode.name for mode in row.modes}) == len(row.modes)
    assert row.modes[0] == Mode(None, 1e-4)
    if len(row.modes) > 1:
        assert row.writer.mode.__doc__
        assert row.runner.of_bytes.__doc__
        tolerances = [mode.tolerance for mode in row.modes]
        assert tolerances == sorted(tolerances)


def test_files_are_opened_without_what_made_them():
    runners = [row.runner.__name__ for row in FORMATS.values()]
    code = f"import sys, {', '.join(runners)}; print([one for one in ('keras', 'tensorflow') if one in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.fixture
def frozen(monkeypatch):
    """A format that only these tests have: a row, and the folder `frozen`."""
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]))
    modes = (Mode(None, 1e-4), Mode("coarse", calibrated=True))
    row = Format("frozen", "Frozen", ".frozen", "a .frozen", "The graph cannot be run", modes=modes, package="frozen")
    monkeypatch.setitem(FORMATS, "frozen", row)
    return row


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(images):
    """Its heads call about half of the pixels foreground."""
    keras.utils.set_random_seed(0)
    model = build((16, 16, 1), width=4, depth=2, norm="none")
    for name, values in model(images.astype(np.float32)).items():
        odds = np.median(values)
        model.get_layer(f"{name}_conv").bias.assign([-np.log(odds / (1 - odds))])
    return model


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.modes[-1].calibrated])
def test_a_writer_alone_refuses_to_guess_ranges(name, model, tmp_path):
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
    with pytest.raises(InputError, match=r"quantize='int8' needs calibration=, .* Received: none\."):
        FORMATS[name].writer.write(model, tmp_path / "m", signature(model), quantize="int8")
    assert list(tmp_path.iterdir()) == []


def test_a_format_is_a_row_and_a_folder(frozen, model, images, tmp_path):
    path = tmp_path / "m.frozen"
    report = export(model, path, comment="mine")
    assert (report.format, report.tolerance, report.path) == ("frozen", 1e-4, str(path))
    assert [row.name for row in report.rows] == ["L1", "L2", "mean"]
    one = Artefact(path)
    assert (one.format, one.signature.sides) == ("frozen", (16, 16))
    for level in (1, "mean"):
        np.testing.assert_allclose(segment(one, images[0], level), segment(model, images[0], level), atol=1e-5)
    with pytest.raises(InputError, match=r"frozen has no option 'opset'\. Options: comment, quantize, calibration, "):
        export(model, path, opset=17)
    with pytest.raises(InputError, match=r"is a \.tflite, a \.onnx, a folder that holds saved_model\.pb, NAME/VERSION, "
                       r"or a \.frozen\. Received"):  # fmt: skip
        open_file(__file__)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="The graph cannot be run: "):
        Artefact(path)


def test_what_it_may_lose_comes_with_the_row(frozen, model, images, tmp_path):
    path, options = tmp_path / "m.frozen", {"quantize": "coarse", "levels": 2}
    masks = np.stack([segment(model, image, 2, output="mask") for image in images])
    with pytest.raises(InputError, match=r"quantize='coarse' needs calibration=, .* quantize=None needs none\."):
        export(model, path, **options)
    with pytest.raises(InputError, match=r"quantize must be None or 'coarse' in Frozen\. Received: 'fine'\."):
        export(model, path, quantize="fine")
    options |= {"calibration": images, "labelled": (images, masks)}
    with pytest.raises(InputError, match=r"drops by .*\. Use quantize=None, give more calibration images or raise max"):
        export(model, path, **options, max_drop=0)
    assert list(tmp_path.iterdir()) == []
    report = export(model, path, **options, max_drop=0.1)
    assert 0 < report.accuracy[0].drop <= 0.1
    assert report.tolerance is None
    with np.load(path) as file:
        assert file["steps"] == 256  # the first attempt lost too much
