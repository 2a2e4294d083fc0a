"""`levels --plot`."""

import pytest

from keras_unetpp import Spec, build, plot
from keras_unetpp.cli import main


def test_the_network_of_the_options_is_drawn(capsys, tmp_path):
    path = tmp_path / "net.svg"
    assert main(["levels", "--preset", "unet+", "--depth", "2", "--plot", str(path), "--level", "1"]) == 0
    said = capsys.readouterr()
    assert "L2" in said.out
    assert said.err == f"drawn in {path}\n"
    assert path.read_text(encoding="utf-8") == plot(Spec.preset("unet+", depth=2), level=1).svg


def test_a_model_is_drawn(capsys, tmp_path):
    model, path = build((32, 32, 1), depth=1, width=2), tmp_path / "net.svg"
    model.save(tmp_path / "net.keras")
    assert main(["levels", "--model", str(tmp_path / "net.keras"), "--repeat", "0", "--plot", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == plot(model).svg


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--plot net.pdf", "A picture's file must end in .svg or .png. Received: net.pdf."),
        ("--plot mine.svg", "mine.svg"),
        ("--plot net.svg --level 5", "This network has heads for level 1, 2, 3, 4 or 'mean'. Received: 5."),
        ("--plot net.svg --model net.onnx", "levels --plot draws models, not exported files. Received: net.onnx."),
        ("--level 2", "levels --level needs --plot."),
        ("--overwrite", "levels --overwrite needs --plot."),
    ],
)
def test_what_cannot_be_drawn_is_one_line(capsys, tmp_path, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.svg").write_text("mine", encoding="utf-8")
    assert main(["levels", *words.split()]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert text in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.svg"]
    assert (tmp_path / "mine.svg").read_text(encoding="utf-8") == "mine"
