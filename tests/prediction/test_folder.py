import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tifffile import imwrite

from keras_unetpp.data.images import list_images, overlay, read_image, read_mask, write_png
from keras_unetpp.files import RECORD
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError, InputWarning
from keras_unetpp.prediction.folder import predict_folder
from keras_unetpp.prediction.predictor import Predictor, segment


def network(**fields):
    keras.utils.set_random_seed(0)
    return build(**{"input_shape": (None, None, 3), "width": 2, "depth": 1, "normalization": "standardize", **fields})


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    for name, shape in (("a.png", (20, 31, 3)), ("b.png", (17, 8)), ("c.tif", (12, 12, 3))):
        write = imwrite if name.endswith(".tif") else write_png
        (tmp_path / "in").mkdir(exist_ok=True)
        write(tmp_path / "in" / name, rng.integers(0, 256, shape, dtype=np.uint8))
    return tmp_path / "in"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def never(*_, **__):
    raise RuntimeError("predicted before everything was checked")


def test_masks_and_overlays_of_a_folder(model, source, tmp_path):
    out = tmp_path / "deep" / "out"
    written = predict_folder(model, str(source), str(out), threshold=0.48, progress=True)
    expected = ["a.png", "a_overlay.png", "b.png", "b_overlay.png", "c.png", "c_overlay.png"]
    assert [path.name for path in written] == expected
    assert names(out) == [*expected, RECORD]
    predict = Predictor(model)
    for path in list_images(source):
        mask = predict.mask(predict(path)["L1"], threshold=0.48)
        found = read_mask(out / f"{path.stem}.png")
        assert found.dtype == np.uint8
        assert np.array_equal(found, 255 * mask)
        assert 0 < mask.mean() < 1
        picture = read_image(out / f"{path.stem}_overlay.png")
        assert np.array_equal(picture, overlay(read_image(path, 3), mask))


def test_one_image_one_level_and_options(model, source, tmp_path):
    model = network(depth=2)
    (written,) = predict_folder(model, source / "a.png", tmp_path / "out", level=1, output="probabilities",
                                overlay=False, progress=True, tile=12, overlap=8)  # fmt: skip
    assert written == tmp_path / "out" / "a.npy"
    expected = segment(model, source / "a.png", 1, tile=12, overlap=8)
    assert np.array_equal(np.load(written), expected)
    assert np.load(written).dtype == np.float32


def test_probabilities_come_with_an_overlay_of_the_mask(model, source, tmp_path):
    written = predict_folder(model, source / "a.png", tmp_path / "out", output="probabilities", threshold=0.48)
    assert [path.name for path in written] == ["a.npy", "a_overlay.png"]
    mask = np.load(written[0])[..., 0] > 0.48
    assert np.array_equal(read_image(written[1]), overlay(read_image(source / "a.png"), mask))


def test_class_ids(source, tmp_path):
    model = network(classes=3)
    predict_folder(model, source, tmp_path / "out")
    expected = segment(model, source / "a.png", output="mask")
    assert np.array_equal(read_mask(tmp_path / "out" / "a.png"), expected)
    assert set(np.unique(expected)) <= {0, 1, 2}
    picture = read_image(tmp_path / "out" / "a_overlay.png")
    assert np.array_equal(picture, overlay(read_image(source / "a.png"), expected))


def test_a_picture_for_each_class_that_excludes_no_other(source, tmp_path):
    model = network(classes=2, head_activation="sigmoid")
    written = predict_folder(model, source / "a.png", tmp_path / "out", threshold=0.45)
    assert [path.name for path in written] == ["a_class0.png", "a_class1.png", "a_overlay.png"]
    probabilities = segment(model, source / "a.png")
    mask = probabilities > 0.45
    for index in range(2):
        assert np.array_equal(read_mask(written[index]), 255 * mask[..., index])
    best = 1 + probabilities.argmax(-1)
    picture = overlay(read_image(source / "a.png"), np.where(mask.any(-1), best, 0))
    assert np.array_equal(read_image(written[2]), picture)


@pytest.mark.parametrize("classes", [1, 3])
def test_volumes_are_tiff(tmp_path, classes):
    model = network(input_shape=(None, None, None, 1), classes=classes)
    imwrite(tmp_path / "v.tif", np.random.default_rng(0).integers(0, 256, (5, 9, 12), dtype=np.uint8))
    (written,) = predict_folder(model, tmp_path / "v.tif", tmp_path / "out")
    assert written.name == "v.tif"
    expected = segment(model, tmp_path / "v.tif", output="mask") * (255 if classes == 1 else 1)
    assert np.array_equal(read_mask(written, 3), expected)


def test_files_are_replaced_or_kept(model, source, tmp_path):
    out = tmp_path / "out"
    predict_folder(model, source, out)
    good = (out / "a.png").read_bytes()
    (out / "a.png").write_bytes(b"old")
    (out / "b_overlay.png").unlink()
    (out / "b.png").unlink()
    written = predict_folder(model, source, out, skip_existing=True)
    assert [path.name for path in written] == ["b.png", "b_overlay.png"]
    assert (out / "a.png").read_bytes() == b"old"
    assert predict_folder(model, source, out, skip_existing=True) == []
    with pytest.raises(InputError, match=r"out/a\.png is there already, and this package did not write it"):
        predict_folder(model, source, out)
    assert len(predict_folder(model, source, out, overwrite=True)) == 6
    assert (out / "a.png").read_bytes() == good


def test_an_interrupted_run_leaves_whole_files_and_is_gone_on_with(model, source, tmp_path, monkeypatch):
    out = tmp_path / "out"
    call = Predictor.__call__

    def stopped(self, image, *more):
        if image.shape[0] == 17:
            raise KeyboardInterrupt
        return call(self, image, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "__call__", stopped)
        with pytest.raises(KeyboardInterrupt):
            predict_folder(model, source, out)
    assert names(out) == ["a.png", "a_overlay.png", RECORD]
    assert len(predict_folder(model, source, out, skip_existing=True)) == 4


def fails(exception, text, monkeypatch, *args, **options):
    """Check the text of the error, and that nothing was predicted before it."""
    monkeypatch.setattr(Predictor, "__call__", never)
    with pytest.raises(exception) as error:
        predict_folder(*args, **options)
    assert str(error.value) == text


def test_bad_images_stop_no_other_and_are_named(model, source, tmp_path):
    """One whose header is none, one cut off behind its header."""
    (source / "b2.png").write_bytes(b"no image")
    write_png(source / "z.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = (source / "z.png").read_bytes()
    (source / "z.png").write_bytes(data[: len(data) // 2])
    with pytest.warns(InputWarning, match=f"2 of 5 images could not be segmented; the first: .*{source}/b2.png"):
        written = predict_folder(model, source, tmp_path / "out")
    assert {path.name: reason.split(":")[0] for path, reason in written.failed.items()} == {
        "b2.png": f"cannot read {source}/b2.png",
        "z.png": f"cannot read {source}/z.png",
    }
    assert len(written) == len(names(tmp_path / "out")) - 1 == 6


def test_an_image_of_other_channels_stops_no_other(model, source, tmp_path):
    imwrite(source / "five.tif", np.zeros((5, 16, 16), np.uint8), photometric="minisblack", planarconfig="separate")
    with pytest.warns(InputWarning, match="1 of 4 images could not be segmented"):
        written = predict_folder(model, source, tmp_path / "out")
    assert [path.name for path in written.failed] == ["five.tif"]


def test_large_images_are_left_out_unless_asked_for(model, source, tmp_path):
    with pytest.warns(InputWarning, match=r"2 of 3 images .*raise max_pixels"):
        written = predict_folder(model, source, tmp_path / "out", max_pixels=140)
    assert sorted(path.name for path in map(Path, written.failed)) == ["a.png", "c.tif"]
    assert not predict_folder(model, source, tmp_path / "out", max_pixels=620).failed
    with pytest.raises(InputError, match=r"max_pixels must be a positive number of pixels\. Received: 'many'"):
        predict_folder(model, source, tmp_path / "out", max_pixels="many")


def test_nothing_but_bad_images_is_an_error(model, source, tmp_path, monkeypatch):
    for path in list_images(source):
        path.write_bytes(b"no image")
    (source / "a.png").write_bytes(b"no image")
    out = tmp_path / "out"
    monkeypatch.setattr(Predictor, "__call__", never)
    with pytest.raises(InputError, match=f"None of 3 images could be segmented: .*{source}/a.png"):
        predict_folder(model, source, out)
    with pytest.raises(InputError, match=f"^cannot read {source}/a.png"):
        predict_folder(model, source / "a.png", out)
    assert not out.exists()


def test_two_images_of_one_name(model, source, tmp_path, monkeypatch):
    Image.open(source / "a.png").save(source / "a.jpg")
    text = f"{source}/a.jpg and {source}/a.png would both give a.png; rename one of them"
    fails(InputError, text, monkeypatch, model, source, tmp_path / "out")


def test_an_image_named_like_an_overlay(model, source, tmp_path, monkeypatch):
    (source / "b.png").rename(source / "a_overlay.png")
    text = f"{source}/a.png and {source}/a_overlay.png would both give a_overlay.png; rename one of them"
    assert len(predict_folder(model, source, tmp_path / "other", overlay=False)) == 3
    fails(InputError, text, monkeypatch, model, source, tmp_path / "out")


def test_the_images_are_not_written_over(model, source, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(source)
    for given, out in ((source, source), (source, tmp_path / "link"), (source / "a.png", source)):
        text = f"masks would mix with, or replace, the images in {out}; name another folder to write to"
        fails(InputError, text, monkeypatch, model, given, out)
    assert names(source) == ["a.png", "b.png", "c.tif", RECORD]


def test_sources_that_are_none(model, source, tmp_path, monkeypatch):
    missing, empty, out = tmp_path / "missing", tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    fails(InputError, f"no such image or folder: {missing}", monkeypatch, model, missing, out)
    text = f"{empty} holds no image; supported are .png, .jpg, .jpeg, .bmp, .webp, .tif, .tiff"
    fails(InputError, text, monkeypatch, model, empty, out)
    text = f"a folder is required to write to; {source}/b.png is a file"
    fails(InputError, text, monkeypatch, model, source / "a.png", source / "b.png")


def test_options_that_do_not_fit(model, source, tmp_path, monkeypatch):
    for options, text in (
        ({"output": "png"}, "output must be 'probabilities' or 'mask'. Received: 'png'."),
        ({"threshold": 1.5}, "threshold must be a number from 0 to 1. Received: 1.5."),
        ({"level": 2}, "This model has heads for level 1. Received: 2."),
        ({"tile": 3}, "tile must be a positive multiple of 2 pixels. Received: 3."),
    ):
        fails(InputError, text, monkeypatch, model, source, tmp_path / "out", **options)


def test_a_folder_below_a_file_cannot_be_made(model, source, monkeypatch):
    out = source / "a.png" / "out"
    text = f"[Errno {errno.ENOTDIR}] cannot write {out}/a.png: Not a directory"
    fails(NotADirectoryError, text, monkeypatch, model, source, out)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(model, source, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    text = f"[Errno {errno.EACCES}] cannot write {out}/a.png: Permission denied"
    fails(PermissionError, text, monkeypatch, model, source, out)


def test_a_full_disk_is_told_before_any_prediction(model, source, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    out = tmp_path / "out"
    text = f"[Errno {errno.ENOSPC}] cannot write {out}/a.png: No space left on device"
    fails(OSError, text, monkeypatch, model, source, out)
    assert names(out) == []


def test_label_masks_of_the_users_are_never_replaced_by_predictions(model, source, tmp_path, monkeypatch):
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("a.png", "c.png"):
        write_png(tmp_path / name, np.full((20, 31), 7, np.uint8))
        (tmp_path / name).rename(masks / name)
    before = {path.name: path.read_bytes() for path in masks.iterdir()}
    with monkeypatch.context() as patch:
        text = (
            f"{masks}/a.png (and 1 more) is there already, and this package did not write it, or it was changed since."
            " Choose another name, or say overwrite=True (--overwrite) to replace it."
        )
        for options in ({}, {"skip_existing": True}):
            fails(InputError, text, patch, model, source, masks, **options)
    assert {path.name: path.read_bytes() for path in masks.iterdir()} == before
    assert len(predict_folder(model, source, masks, overwrite=True)) == 6
    assert len(predict_folder(model, source, masks)) == 6


def test_hidden_files_of_the_users_stay(model, source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in (".writable", ".probe", ".a.png"):
        (out / name).write_text("mine")
    predict_folder(model, source, out)
    assert [(out / name).read_text() for name in (".writable", ".probe", ".a.png")] == ["mine"] * 3
    assert len(names(out)) == 3 + 6 + 1


def test_long_names_are_written_and_longer_ones_told_first(model, source, tmp_path, monkeypatch):
    (source / "a.png").rename(source / f"{'ä' * 120}.png")
    (source / "b.png").rename(source / (os.fsdecode(b"\xff" * 240) + ".png"))
    assert len(predict_folder(model, source, tmp_path / "out")) == 6
    assert len(names(tmp_path / "out")) == 7
    (source / "c.tif").rename(source / f"{'c' * 244}.tif")
    text = (
        f"{source}/{'c' * 244}.tif would give {'c' * 244}_overlay.png, a name of 256 bytes; 255 are allowed. Rename it"
        " to something shorter."
    )
    assert len(predict_folder(model, source, tmp_path / "plain", overlay=False)) == 3
    fails(InputError, text, monkeypatch, model, source, tmp_path / "out")


def test_two_predictions_share_a_folder(model, source, tmp_path):
    """Each of other images, at the same time."""
    out = tmp_path / "out"
    shards = [[path for path in list_images(source) if (path.name == "a.png") == first] for first in (True, False)]
    for number, shard in enumerate(shards):
        (tmp_path / f"in{number}").mkdir()
        for path in shard:
            path.rename(tmp_path / f"in{number}" / path.name)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(predict_folder, model, tmp_path / f"in{number}", out) for number in (0, 1)]
        assert sorted(path.name for run in runs for path in run.result()) == names(out)[:-1]


def test_modes_and_links_are_kept(model, source, tmp_path):
    out, disk = tmp_path / "out", tmp_path / "disk"
    predict_folder(model, source, out)
    (out / "a.png").chmod(0o600)
    out.rename(disk)
    out.symlink_to(disk)
    predict_folder(model, source, out)
    assert oct((out / "a.png").stat().st_mode & 0o777) == "0o600"
    assert out.is_symlink()
    assert names(tmp_path) == ["disk", "in", "out"]
