import numpy as np
import pytest
import tifffile
from picture_files import GREY, RGB, RNG, save, tiff
from PIL import Image

from keras_unetpp.data.images import check_mask, image_size, read_mask
from keras_unetpp.kit.errors import InputError, InputWarning


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


@pytest.mark.parametrize("name", ["m.png", "m.tif", "m.webp"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("colour", [0, 255])
def test_a_shape_in_alpha_is_told(tmp_path, name, mode, colour):
    shape = np.zeros((9, 7), np.uint8)
    shape[2:5, 2:5] = 255
    colours = [np.full_like(shape, colour)] * (len(mode) - 1)
    path = save(
        tmp_path / name, np.dstack([*colours, shape]), **({"lossless": True, "exact": True} if "webp" in name else {})
    )
    with pytest.warns(
        InputWarning, match=r"^The mask .*m\.\w+ has one colour everywhere, and its shapes in the alpha"
    ) as told:
        assert (read_mask(path) == colour).all()
    assert len(told) == 1


def test_a_shape_in_the_opacity_of_a_palette_is_told(tmp_path):
    image = Image.fromarray((GREY > 99).astype(np.uint8))
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.save(tmp_path / "m.png", transparency=bytes([0, 255]))
    with pytest.warns(InputWarning, match="its shapes in the alpha channel"):
        read_mask(tmp_path / "m.png")
    image.putpalette([0, 0, 0, 255, 0, 0])  # colours that differ tell the shape as well
    image.save(tmp_path / "m.png", transparency=bytes([0, 255]))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), GREY > 99)


def test_alpha_that_says_nothing_is_no_matter(tmp_path):
    opaque = np.full_like(GREY, 255)
    for colours in (GREY, GREY * 0):  # shapes in the colours; none at all
        path = save(tmp_path / "m.png", np.dstack([colours] * 3 + [opaque]))
        np.testing.assert_array_equal(read_mask(path), colours)


def test_one_bit_with_white_as_zero_is_kept_and_told(tmp_path):
    bits = (GREY > 99)[..., None]
    path = tiff(tmp_path / "m.tif", bits, 1, 0)
    with pytest.warns(
        InputWarning, match=r"^The mask .*m\.tif has 1 bit, of which 0 is white\. The numbers are taken as"
    ):
        np.testing.assert_array_equal(read_mask(path), bits[..., 0])


def test_lossy_webp_is_refused_and_lossless_is_not(tmp_path):
    ids = np.dstack([GREY] * 3)
    for exif in ({}, {"exif": Image.Exif().tobytes()}):  # the second has the extended header
        np.testing.assert_array_equal(read_mask(save(tmp_path / "m.webp", ids, lossless=True, **exif)), GREY)
        with pytest.raises(InputError, match=r"since lossy WebP changes label ids; got .*m\.webp: save it as PNG$"):
            check_mask(save(tmp_path / "m.webp", ids, **exif))


@pytest.mark.parametrize(
    ("compression", "lossy"),
    [
        ({"compression": "jpeg"}, "JPEG"),
        ({"compression": "webp", "compressionargs": {"level": 90, "lossless": False}}, "WebP"),
        ({"compression": "jpeg2000", "compressionargs": {"level": 50, "reversible": False}}, "JPEG 2000"),
    ],
)
def test_lossy_compressions_within_tiff_are_refused(tmp_path, compression, lossy):
    tifffile.imwrite(tmp_path / "m.tif", np.dstack([GREY] * 3), photometric="rgb", **compression)
    with pytest.raises(InputError, match=rf"since {lossy} changes label ids; got .*m\.tif"):
        read_mask(tmp_path / "m.tif")


@pytest.mark.parametrize("compression", ["webp", "jpeg2000", "png", "lerc"])
def test_exact_compressions_within_tiff_are_read(tmp_path, compression):
    tifffile.imwrite(tmp_path / "m.tif", np.dstack([GREY] * 3), photometric="rgb", compression=compression)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), GREY)


def test_a_compression_that_may_be_lossy_is_told(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.kron(GREY, np.ones((4, 4), np.uint8)), compression="jpegxl")
    with pytest.warns(InputWarning, match=r"^The mask .*m\.tif is compressed by JPEG XL, which may have changed"):
        read_mask(tmp_path / "m.tif")


def test_samples_of_different_bits_are_no_ids(tmp_path):
    path = tiff(tmp_path / "m.tif", np.zeros((4, 2, 1), np.uint16), 16, 2, tags={277: [3], 258: [5, 6, 5]})
    with pytest.raises(InputError, match=r"holds samples of different bits: save it as 8- or 16-bit$"):
        read_mask(path)
