import subprocess
import sys

import numpy as np
import pytest
import tifffile
from picture_files import GREY, RGB, RNG, png, save
from PIL import Image

from keras_unetpp.data.images import image_size, read_image, read_mask
from keras_unetpp.kit.errors import InputError


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
    path = png(tmp_path / "a.png", array, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], filter_type=filter_type)
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
        "from keras_unetpp.data.images import read_image\n"
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
        InputError,
        match=r"^an image must hold 8-bit, 16-bit or floating-point pixels; .* holds int32: save it as "
        r"16-bit unsigned, or as floating-point 0\.\.255$",
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
