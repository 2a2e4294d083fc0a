"""What an export does to what lies where it is to go."""

import json

import keras
import pytest
from sampling import sampled

from keras_unetpp.exporting import export
from keras_unetpp.files import RECORD
from keras_unetpp.formats.saved_model.serving import write_config
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError

NOT_OURS = r"is there already, and this package did not write it, or it was changed since\."


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build((None, None, 3), width=2, depth=1)


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "mine", ["train.py", ".git/config", "assets/mine.txt", "variables/notes.txt", "deep/er/a", ".git/"]
)
def test_a_folder_of_anything_else_is_never_replaced(model, tmp_path, mine, overwrite):
    project = tmp_path / "project"
    (project / mine).parent.mkdir(parents=True)
    (project / "saved_model.pb").write_text("another program's")
    (project / mine).mkdir() if mine.endswith("/") else (project / mine).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"project holds what this package did not write, so it is left alone: "):
        export(model, project, verify=False, overwrite=overwrite)
    assert contents(tmp_path) == before
    assert (project / mine).exists()


def test_a_saved_model_of_others_is_replaced_if_that_is_said(model, tmp_path):
    export(model, tmp_path / "1", verify=False)
    (tmp_path / "1" / RECORD).unlink()  # as version 0.1.0 left it
    with pytest.raises(InputError, match=rf"1 {NOT_OURS}"):
        export(model, tmp_path / "1", verify=False)
    export(model, tmp_path / "1", verify=False, overwrite=True)
    export(model, tmp_path / "1", verify=False)
    (tmp_path / "1" / "mine.txt").write_text("put there later")
    with pytest.raises(InputError, match=r"left alone: mine\.txt\."):
        export(model, tmp_path / "1", verify=False, overwrite=True)
    assert (tmp_path / "1" / "mine.txt").read_text() == "put there later"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize("name", sampled(["m.onnx", "m.onnx.json"], ["m.onnx.json"]))
def test_a_file_or_report_of_others_is_told_before_the_work(model, tmp_path, monkeypatch, name):
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
    (tmp_path / name).write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr("keras_unetpp.formats.onnx.write.write", lambda *_, **__: pytest.fail("work was done"))
        with pytest.raises(InputError, match=rf"{name.replace('.', chr(92) + '.')} {NOT_OURS}"):
            export(model, tmp_path / "m.onnx", verify=False)
    assert (tmp_path / name).read_text() == "mine"
    export(model, tmp_path / "m.onnx", verify=False, overwrite=True)
    export(model, tmp_path / "m.onnx", verify=False)
    assert json.loads((tmp_path / "m.onnx.json").read_text())["format"] == "onnx"


@pytest.mark.parametrize("name", sampled(["models.config", "batching.config"], ["models.config"]))
def test_a_server_configuration_of_others_is_told_before_the_work(model, tmp_path, name):
    (tmp_path / name).write_text("my configuration")
    with pytest.raises(InputError, match=NOT_OURS):
        export(model, tmp_path / "m" / "1", verify=False, server_config=True)
    assert contents(tmp_path) == {name: b"my configuration"}
    export(model, tmp_path / "m" / "1", verify=False)
    with pytest.raises(InputError, match=NOT_OURS):
        write_config(tmp_path)
    assert (tmp_path / name).read_text() == "my configuration"
    export(model, tmp_path / "m" / "1", verify=False, server_config=True, overwrite=True)
    assert 'name: "m"' in (tmp_path / "models.config").read_text()
    export(model, tmp_path / "m" / "2", verify=False, server_config=True)


@pytest.mark.parametrize("name", ["m\udcff.onnx", "m\udcff.tflite", "m\udcff/1", "\udcff/m/1"])
def test_a_path_that_no_runtime_opens_is_told_before_the_work(model, tmp_path, name):
    with pytest.raises(InputError, match=r"The path of an exported file must be UTF-8, .*\\xff"):
        export(model, tmp_path / name, size=16)
    assert list(tmp_path.iterdir()) == []
