import errno
import os
import struct
import subprocess
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_unetpp.errors import InputError
from keras_unetpp.files import replacing, write_text
from keras_unetpp.images import image_size, list_images, overlay, read_image, read_mask, write_png

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (9, 7, 3), np.uint8)
GREY = RGB[..., 0]


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def png16(path: Path, array: np.ndarray, filter_type: int = 0) -> Path:
    """Write a 16-bit PNG of 1 to 4 channels without Pillow; filter 1 codes differences to the pixel on the left."""
    height, width, channels = array.shape
    lines = array.astype(">u2").tobytes()
    stride, step = width * channels * 2, channels * 2
    raw = b""
    for row in range(height):
        line = np.frombuffer(lines[row * stride : (row + 1) * stride], np.uint8)
        if filter_type == 1:
            line = line - np.concatenate([np.zeros(step, np.uint8), line[:-step]])
        raw += bytes([filter_type]) + line.tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )
    return path


# --- reading images


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_eight_bit_images_come_back_as_they_were_written(tmp_path, suffix):
    for array in (RGB, GREY):
        pixels = read_image(save(tmp_path / f"a.{suffix}", array))
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, array.reshape(9, 7, -1))


@pytest.mark.parametrize("filter_type", [0, 1])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_sixteen_bits_of_a_png_count(tmp_path, channels, filter_type):
    array = RNG.integers(0, 65536, (9, 7, channels), np.uint16)
    path = png16(tmp_path / "a.png", array, filter_type)
    pixels = read_image(path, channels)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(np.rint(pixels * 257), array)
    assert pixels.max() <= 255
    assert read_image(path).shape[-1] == {1: 1, 2: 1, 3: 3, 4: 3}[channels]  # without alpha unless asked for


def test_sixteen_bit_and_float_tiff(tmp_path):
    deep = RNG.integers(0, 65536, (9, 7, 5), np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="minisblack", planarconfig="contig")
    np.testing.assert_allclose(read_image(tmp_path / "deep.tif", channels=5) * 257, deep, rtol=1e-6)
    real = RNG.uniform(0, 255, (9, 7)).astype(np.float64)
    tifffile.imwrite(tmp_path / "real.tif", real)
    pixels = read_image(tmp_path / "real.tif")
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[..., 0], real, rtol=1e-6)


def test_channels_first_tiff_is_turned(tmp_path):
    array = RNG.integers(0, 256, (4, 9, 7), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.moveaxis(array, 0, -1))
    assert image_size(tmp_path / "a.tif") == (9, 7)


@pytest.mark.parametrize(
    ("axes", "shape", "order"),
    [("ZYX", (5, 9, 7), (0, 1, 2)), ("ZCYX", (5, 2, 9, 7), (0, 2, 3, 1)), ("ZYXS", (5, 9, 7, 3), (0, 1, 2, 3))],
)
def test_volumes(tmp_path, axes, shape, order):
    array = RNG.integers(0, 256, shape, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"axes": axes})
    pixels = read_image(tmp_path / "a.tif", ndim=3)
    np.testing.assert_array_equal(pixels, array.transpose(order).reshape(5, 9, 7, -1))
    assert image_size(tmp_path / "a.tif", ndim=3) == (5, 9, 7)
    with pytest.raises(InputError, match=r"a\.tif: a 2-D image is required, the file has 5 pages \(axes"):
        read_image(tmp_path / "a.tif")


def test_a_png_is_a_volume_of_one_slice(tmp_path):
    path = save(tmp_path / "a.png", RGB)
    assert read_image(path, ndim=3).shape == (1, 9, 7, 3)
    assert image_size(path, ndim=3) == (1, 9, 7)


def test_exif_orientation_is_applied(tmp_path):
    tall = np.zeros((32, 16, 3), np.uint8)
    tall[:8] = 255  # bright top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise for display
    path = save(tmp_path / "a.jpg", tall, exif=exif)
    pixels = read_image(path)
    assert pixels.shape == (16, 32, 3)
    assert image_size(path) == (16, 32)
    assert pixels[:, -6:].min() > 200  # the top has become the right
    assert pixels[:, :16].max() < 50
    path = save(tmp_path / "a.png", tall, exif=exif)
    assert read_image(path).shape[:2] == image_size(path) == (16, 32)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_palette_becomes_rgb(tmp_path, suffix):
    image = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    image.save(tmp_path / f"a.{suffix}")
    pixels = read_image(tmp_path / f"a.{suffix}")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))


def test_channels_are_matched(tmp_path):
    rgba = np.dstack([RGB, 255 - GREY])
    path = save(tmp_path / "rgba.png", rgba)
    np.testing.assert_array_equal(read_image(path), RGB)
    np.testing.assert_array_equal(read_image(path, 4), rgba)
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], np.rint(RGB @ [0.299, 0.587, 0.114]).astype(np.uint8))
    grey = save(tmp_path / "grey.png", GREY)
    np.testing.assert_array_equal(read_image(grey, 3), np.dstack([GREY] * 3))
    with pytest.raises(InputError, match=r"^4 channel\(s\) required, .*grey\.png has 1; convert it, or ask for 1$"):
        read_image(grey, 4)
    with pytest.raises(InputError, match=r"^2 channel\(s\) required, .*rgba\.png has 3; convert it, or ask for 3$"):
        read_image(path, 2)


def test_one_bit_images_span_the_range(tmp_path):
    bits = GREY > 128
    for suffix, options in (("png", {}), ("tif", {}), ("tiff", {"compression": "group4"})):
        path = save(tmp_path / f"a.{suffix}", bits, **options)
        np.testing.assert_array_equal(read_image(path)[..., 0], bits * np.uint8(255))
        np.testing.assert_array_equal(read_mask(path), bits)


def test_a_compression_that_needs_the_extra_names_it(tmp_path):
    path = save(tmp_path / "a.tiff", GREY > 128, compression="group4")
    code = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from keras_unetpp.images import read_image\n"
        f"try: read_image({str(path)!r})\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith('package: pip install "keras-unetpp[tiff]"')


def test_the_content_decides_not_the_name(tmp_path):
    save(tmp_path / "a.tif", RGB, format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), RGB)
    deep = RNG.integers(0, 65536, (9, 7, 3), np.uint16)
    tifffile.imwrite(tmp_path / "b.png", deep, photometric="rgb")
    np.testing.assert_array_equal(np.rint(read_image(tmp_path / "b.png") * 257), deep)
    save(tmp_path / "c.png", GREY, format="JPEG")
    with pytest.raises(InputError, match="JPEG changes label ids"):
        read_mask(tmp_path / "c.png")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_must_be_finite(tmp_path, value):
    array = np.ones((9, 7), np.float32)
    array[2, 3] = value
    tifffile.imwrite(tmp_path / "bad.tif", array)
    with pytest.raises(InputError, match=r"^pixels must be finite; .*bad\.tif holds NaN or infinity: replace them"):
        read_image(tmp_path / "bad.tif")


def test_pixels_of_other_types_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.int32))
    with pytest.raises(
        InputError, match=r"^an image must hold 8-bit, 16-bit or floating-point pixels; .* holds int32$"
    ):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.png", "image file is truncated"),
        ("a.jpg", "image file is truncated"),
        ("a.tif", "failed to read"),
    ],
)
def test_a_truncated_file_is_named(tmp_path, name, reason):
    path = save(tmp_path / name, RNG.integers(0, 256, (64, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"^cannot read .*{name}: {reason}"):
        read_image(path)


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    for read in (read_image, read_mask, image_size):
        with pytest.raises(InputError, match=r"^cannot read .*text\.png: cannot identify image file"):
            read(tmp_path / "text.png")
        with pytest.raises(InputError, match=r"^no such file: .*none\.png$"):
            read(tmp_path / "none.png")
        with pytest.raises(InputError, match=r"^cannot read .*: Is a directory$"):
            read(tmp_path)


# --- reading masks


@pytest.mark.parametrize(("suffix", "dtype"), [("png", np.uint8), ("png", np.uint16), ("tif", np.uint16)])
def test_mask_ids_come_back(tmp_path, suffix, dtype):
    ids = RNG.integers(0, np.iinfo(dtype).max + 1, (9, 7)).astype(dtype)
    path = save(tmp_path / f"m.{suffix}", ids)
    mask = read_mask(path)
    assert mask.dtype == dtype
    np.testing.assert_array_equal(mask, ids)
    assert image_size(path) == (9, 7)


def test_negative_ids_and_volumes(tmp_path):
    ids = RNG.integers(-1, 1000, (5, 9, 7), np.int32)
    tifffile.imwrite(tmp_path / "m.tif", ids)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", ndim=3), ids)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_palette_mask_gives_its_indices(tmp_path, suffix):
    image = Image.fromarray(GREY % 5).convert("L")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 7, 7, 7])
    image.save(tmp_path / f"m.{suffix}")
    np.testing.assert_array_equal(read_mask(tmp_path / f"m.{suffix}"), GREY % 5)


def test_rgb_masks_need_equal_channels(tmp_path):
    np.testing.assert_array_equal(read_mask(save(tmp_path / "same.png", np.dstack([GREY] * 3))), GREY)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "rgba.png", np.dstack([GREY] * 3 + [255 - GREY]))), GREY)
    with pytest.raises(
        InputError,
        match=r"^a mask must have one channel of label ids, or equal channels; the 3 channels of .*rgb\.png differ: "
        r"turn its colours into ids 0, 1, 2, \.\.\.$",
    ):
        read_mask(save(tmp_path / "rgb.png", RGB))


def test_lossy_and_float_masks_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"^a mask must be PNG or TIFF, .*; got .*m\.jpg: save it as PNG$"):
        read_mask(save(tmp_path / "m.jpg", GREY))
    tifffile.imwrite(tmp_path / "m.tif", GREY.astype(np.float32))
    with pytest.raises(InputError, match=r"^a mask must hold integer label ids; .*m\.tif holds float32: save it as"):
        read_mask(tmp_path / "m.tif")


# --- folders and writing


def test_list_images(tmp_path):
    for name in ("b.PNG", "a.tiff", "c.jpeg", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.tiff", "b.PNG", "c.jpeg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no image; supported are \.png, \.jpg, \.jpeg, \.tif, \.tiff$"):
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
    assert os.listdir(path.parent) == ["a.png"]


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
    assert sorted(os.listdir(tmp_path)) == ["a.png", "a.txt"]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)
    assert (tmp_path / "a.txt").read_text() == "old"


def test_replacing_names_the_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileExistsError, match=r"cannot write .*file/a\.txt: File exists$"):
        write_text(tmp_path / "file" / "a.txt", "text")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"cannot write .*folder: Is a directory$"):
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
    assert os.listdir(tmp_path) == ["a.json"]
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
    code = "import sys, keras_unetpp.images; print([m for m in ('keras', 'tensorflow', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
