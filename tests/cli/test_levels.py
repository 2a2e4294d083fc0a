"""`levels`, and what `levels --plot` draws."""

import pytest

from keras_unetpp import Spec, build, plot
from keras_unetpp.cli import main
from keras_unetpp.spec import cost


def test_the_network_of_the_options_is_drawn(capsys, tmp_path):
    path = tmp_path / "net.svg"
    assert main(["levels", "--preset", "unet+", "--depth", "2", "--plot", str(path), "--level", "1"]) == 0
    said = capsys.readouterr()
    assert "L2" in said.out
    assert said.err == f"drawn in {path}\n"
    assert path.read_text(encoding="utf-8") == plot(Spec.preset("unet+", depth=2), level=1).svg


def test_strides_and_kernels_are_said_by_row_and_axis(capsys):
    volume = "levels --input-shape 12x32x32x1 --depth 2 --width 2 --strides"
    assert main(f"{volume} 1x2x2,2 --kernels 1x3x3,3,3 --dilations 1,1,2".split()) == 0
    spec = Spec(
        (12, 32, 32, 1), depth=2, width=2, strides=((1, 2, 2), 2), kernels=((1, 3, 3), 3, 3), dilations=(1, 1, 2)
    )
    assert f"{cost(spec, 2).params:,}" in capsys.readouterr().out
    assert main(f"{volume} 1x2x3,2".split()) == 2
    assert capsys.readouterr().err == (
        "error: Spec.strides must be depth = 2 entries, one from each row to the next, or one for all; each is 1 or 2,"
        " or 3 of these, one an axis, as in ((1, 2, 2), 2) or 1x2x2,2. Received: ((1, 2, 3), 2).\n"
    )


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
