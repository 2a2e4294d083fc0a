import json

import pytest
from pictures import disks

from keras_unetpp.cli import main


@pytest.fixture
def folder(tmp_path):
    return disks(tmp_path / "data", side=24)


def run(capsys, *words):
    status = main(["data", *map(str, words)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_a_folder_is_described(folder, capsys):
    status, out, err = run(capsys, folder)
    assert status == 0
    assert out.startswith(f"6 images with masks in {folder}\nsplit  images\n")
    assert "note:" not in err


def test_what_is_odd_is_a_note(folder, capsys):
    (folder / "images" / "film.gif").write_bytes(b"GIF89a")
    status, out, err = run(capsys, folder, "--classes", "5")
    assert status == 0
    assert "left out:\n  1 images in images of a format that is not read (film.gif)" in out
    assert "note: Class 4 has no pixel in the masks of train" in err
    assert f"note: Not all files of {folder} are used." in err


def test_options_say_where_things_are(folder, capsys):
    (folder / "masks").rename(folder / "labels")
    assert run(capsys, folder)[0] == 2
    status, out, _ = run(capsys, folder, "--masks", "labels", "--val-fraction", "0.5")
    assert (status, out[:6]) == (0, "6 imag")


def test_a_share_is_written_once(folder, capsys):
    status, out, _ = run(capsys, folder, "--split", "0.34", "--seed", "2")
    assert (status, out.splitlines()[0]) == (0, f"written: {folder / 'index.csv'}")
    text = (folder / "index.csv").read_text()
    assert text.count(",val") == 2
    status, _, err = run(capsys, folder, "--split", "0.5")
    assert (status, (folder / "index.csv").read_text()) == (2, text)
    assert "(--overwrite)" in err
    assert run(capsys, folder, "--split", "0.5", "--overwrite")[0] == 0
    assert (folder / "index.csv").read_text().count(",val") == 3


def test_annotations_are_converted(folder, tmp_path, capsys):
    described = {"imagePath": "0.png", "imageHeight": 24, "imageWidth": 24, "shapes": [
        {"label": "cell", "points": [[2, 2], [9, 2], [9, 9]]}]}  # fmt: skip
    for number in range(2):
        path = folder / "images" / f"{number}.json"
        path.write_text(json.dumps({**described, "imagePath": f"{number}.png"}))
    words = ("convert", folder / "images", tmp_path / "out", "--format", "labelme", "--split", "0.5")
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert out == f"2 images with masks in {tmp_path / 'out'}: 0 background, 1 cell; train with classes=1\n"
    assert run(capsys, *words)[0] == 2
    assert run(capsys, tmp_path / "out")[0] == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("convert", "a"), "data convert needs SOURCE, OUT and --format coco or labelme."),
        (("convert", "a", "b"), "data convert needs SOURCE, OUT and --format"),
        (("a", "b"), "data takes one folder, or convert SOURCE OUT --format NAME. Received: a b."),
        (("a", "--overwrite"), "data --overwrite needs --split"),
        (("a",), "an image folder is required; a/images is missing"),
    ],
)
def test_words_that_do_not_fit_are_told(capsys, monkeypatch, tmp_path, words, text):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *words)
    assert status == 2
    assert text in err
