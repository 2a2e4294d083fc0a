import errno
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from picture_files import GREY, RGB, RNG

from keras_unetpp.data.images import list_images, overlay, read_image, read_mask, write_png
from keras_unetpp.files import RECORD, replacing, write_text
from keras_unetpp.kit.errors import InputError


def test_list_images(tmp_path):
    for name in ("b.PNG", "a.tiff", "c.jpeg", "d.bmp", "e.webp", "f.gif", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.tiff", "b.PNG", "c.jpeg", "d.bmp", "e.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match=r"empty holds no image; supported are \.png, \.jpg, \.jpeg, \.bmp, \.webp, \.tif, \.tiff$"
    ):
        list_images(tmp_path / "empty")
    with pytest.raises(InputError, match=r"^an image folder is required; .*none is missing$"):
        list_images(tmp_path / "none")
    with pytest.raises(InputError, match=r"^an image folder is required; .*a\.tiff is a file$"):
        list_images(tmp_path / "a.tiff")


def test_png_round_trip(tmp_path):
    path = tmp_path / "new" / "a.png"
    for array in (RGB, GREY, GREY[..., None], RNG.integers(0, 65536, (9, 7), np.uint16)):
        write_png(path, array)
        again = read_mask(path) if array.dtype == np.uint16 else read_image(path)
        np.testing.assert_array_equal(again.reshape(array.shape), array)
    write_png(path, GREY > 100)
    np.testing.assert_array_equal(read_image(path)[..., 0], (GREY > 100) * np.uint8(255))
    assert sorted(os.listdir(path.parent)) == ["a.png", RECORD]


@pytest.mark.parametrize("array", [GREY.astype(np.float32), RGB.astype(np.uint16), RGB[..., :2]])
def test_png_takes_only_what_it_can_hold(tmp_path, array):
    with pytest.raises(InputError, match=r"^a PNG takes \(height, width\) of uint8, .* got \w+ of shape .*a\.png$"):
        write_png(tmp_path / "a.png", array)
    assert not os.listdir(tmp_path)


@pytest.fixture
def nearly_full():
    """A context in which no file grows beyond 1000 bytes, as on a disk that is nearly full."""
    resource = pytest.importorskip("resource", reason="limits on file size need a POSIX system")

    @contextmanager
    def limited():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            yield
        finally:  # before pytest writes its own report, which may go to a file
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, nearly_full):
    write_png(tmp_path / "a.png", RGB)
    write_text(tmp_path / "a.txt", "old")
    with nearly_full(), pytest.raises(OSError, match=r"cannot write .*a\.png: File too large$") as caught:
        write_png(tmp_path / "a.png", RNG.integers(0, 256, (64, 64, 3), np.uint8))
    assert caught.value.errno == errno.EFBIG
    with nearly_full(), pytest.raises(OSError, match=r"cannot write .*a\.txt: File too large$"):
        write_text(tmp_path / "a.txt", "new" * 1000)
    assert sorted(os.listdir(tmp_path)) == ["a.png", "a.txt", RECORD]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)
    assert (tmp_path / "a.txt").read_text() == "old"


def test_replacing_names_the_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileExistsError, match=r"cannot write .*file/a\.txt: File exists$"):
        write_text(tmp_path / "file" / "a.txt", "text")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(InputError, match=r"folder is a folder, not a file\. Choose another path\.$"):
        write_text(tmp_path / "folder", "text")
    with pytest.raises(FileNotFoundError, match=r"source\.txt"), replacing(tmp_path / "a.txt"):
        (tmp_path / "source.txt").read_text()
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_replacing_passes_other_errors_and_keeps_the_old_file(tmp_path):
    write_text(tmp_path / "a.json", "öld")

    def fail_half_way():
        with replacing(tmp_path / "a.json") as temporary:
            assert (temporary.parent, temporary.suffix) == (tmp_path, ".json")
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert sorted(os.listdir(tmp_path)) == ["a.json", RECORD]
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "öld"


# --- overlay


def test_overlay_tints_and_outlines():
    image = np.full((12, 12, 3), 200, np.uint8)
    mask = np.zeros((12, 12), np.uint16)
    mask[2:6, 2:6], mask[6:10, 2:6] = 1, 2
    picture = overlay(image, mask)
    assert (picture.dtype, picture.shape) == (np.uint8, (12, 12, 3))
    np.testing.assert_array_equal(picture[mask == 0], 200)
    assert tuple(picture[2, 2]) == (255, 200, 0)  # outline: the plain colour
    assert tuple(picture[9, 3]) == (0, 180, 255)
    assert tuple(picture[3, 3]) == (216, 200, 140)  # inside: 0.7 * 200 + 0.3 * colour
    one = overlay(image, (mask > 0)[..., None], color=(255, 0, 0))
    assert tuple(one[2, 2]) == (255, 0, 0)
    np.testing.assert_array_equal(one[5, 3], one[3, 3])  # touching objects of one id have no line between them


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_overlay_takes_any_channels_and_stretches_dark_images(channels):
    dark = RNG.uniform(0, 12, (32, 32, channels)).astype(np.float32)
    picture = overlay(dark, np.zeros((32, 32), int))
    assert picture.shape == (32, 32, 3)
    assert picture.max() == 255
    if channels == 1:
        np.testing.assert_array_equal(picture, overlay(dark[..., 0], np.zeros((32, 32), int)))


def test_overlay_needs_one_size():
    with pytest.raises(InputError, match=r"^image and mask must be of one size; got \(9, 7\) and \(7, 9\)$"):
        overlay(RGB, np.zeros((7, 9), int))


def test_importing_images_is_cheap():
    code = (
        "import sys, keras_unetpp.data.images; print([m for m in ('keras', 'tensorflow', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
