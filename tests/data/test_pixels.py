"""What is odd about the values of an image, what is not, and how it is told."""

import warnings

import numpy as np
import pytest

from keras_unetpp.data.pixels import Ranges, to_255, unexpected, unit
from keras_unetpp.kit.errors import InputWarning

rng = np.random.default_rng(0)
Y, X = np.mgrid[:64, :64]
DISK = (Y - 30) ** 2 + (X - 25) ** 2 < 200
IMAGE = np.clip(np.where(DISK, 180, 50) + rng.normal(0, 10, DISK.shape), 0, 255).astype(np.uint8)
RGB = np.stack([IMAGE, IMAGE // 2, 255 - IMAGE], -1)
DARK = np.clip(np.where(DISK, 12, 2) + rng.normal(0, 1, DISK.shape), 0, 255).astype(np.uint8)
ONES = IMAGE.astype("float32") / 255


def resampled(image):
    """An image made larger by sinc interpolation, which overshoots at edges."""
    from PIL import Image

    return np.asarray(Image.fromarray(image.astype("float32"), "F").resize((150, 150), Image.Resampling.LANCZOS))


def unknown(image, value, dtype="float32"):
    """An image that knows nothing of its first rows."""
    image = image.astype(dtype)
    image[:4] = value
    return image


def hot(image, value, count=1):
    """An image with some pixels that shine on their own account."""
    image = image.copy()
    image[5, 5 : 5 + count] = value
    return image


DIM = hot(np.minimum(DARK, 2), 200, count=3)
"""Dark noise, and a few bright pixels."""

ORDINARY = {
    "uint8": RGB,
    "uint8, dark": DARK,
    "uint8, of three levels": np.minimum(DARK, 2),
    "uint8, black": IMAGE * 0,
    "uint8, flat": IMAGE * 0 + 1,
    "uint8, white": IMAGE * 0 + 255,
    "bool": DISK,
    "uint16": IMAGE.astype("uint16") * 257,
    "uint16, big-endian": (IMAGE.astype("uint16") * 257).astype(">u2"),
    "uint16, of 12 bits shifted": IMAGE.astype("uint16") << 8,
    "uint16, black": IMAGE.astype("uint16") * 0,
    "uint16, flat": IMAGE.astype("uint16") * 0 + 100,
    "int64": IMAGE.astype("int64"),
    "float32": IMAGE.astype("float32"),
    "float16": IMAGE.astype("float16"),
    "float64, noise added": IMAGE + rng.normal(0, 3, IMAGE.shape),
    "float32, resampled": resampled(IMAGE),
    "float32, dark, resampled": resampled(DARK),
    "float32, dark whole numbers": DARK.astype("float32"),
    "float32, background taken off": np.where(DISK, 180, 0) + rng.normal(0, 4, DISK.shape).astype("float32"),
    "float32, black": ONES * 0,
    "float32, flat": ONES * 0 + 0.5,
    "empty": IMAGE[:0],
    "uint8, noise and a few bright pixels": DIM,
    "float32, noise and a few bright pixels": DIM.astype("float32"),
    "float32, the same larger": np.repeat(np.repeat(DIM, 2, 0), 2, 1) * np.float32(1),
    "float32, noise of 0 and 1 and a bright pixel, resampled": resampled(hot(np.minimum(DARK, 1), 255)),
    "uint8, noise and a hot pixel": hot(np.minimum(DARK, 10), 255),
    "uint16, dark, of 8 bits": DARK.astype("uint16") * 257,
    "uint16, dark, of 8 bits shifted": DARK.astype("uint16") << 8,
    "uint16, noise and a few bright pixels, of 8 bits": DIM.astype("uint16") * 257,
    "float32, grey of dark RGB": (np.stack([DARK] * 3, -1) @ [0.299, 0.587, 0.114]).astype("float32"),
    "float32, mean of three dark": np.stack([DARK, DARK // 2, DARK // 3], -1).mean(-1, dtype="float32"),
    "float32, dark, of 12 bits": (DARK.astype("float32") * 16 + 7) * np.float32(255 / 4095),
    "float32, dark, a little darker": DARK * np.float32(0.8),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_values(name):
    assert unexpected(ORDINARY[name]) is None


ODD = {
    "floats of 0..1": ONES,
    "of 0..1, resampled": resampled(ONES),
    "float64 of 0..1": RGB / 255,
    "float16 of 0..1": ONES.astype("float16"),
    "-1..1": ONES * 2 - 1,
    "as for networks of ImageNet": (RGB / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    "dark, as for ImageNet": (np.stack([DARK] * 3, -1) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    "by its own deviation": (DARK - DARK.mean()) / DARK.std(),
    "by a percentile": np.where((Y == 5) & (X < 9), 6.5, ONES / ONES.max()),
    "by its deviation, not centred": IMAGE / IMAGE.std(),
    "by that of each channel": RGB / RGB.std((0, 1)),
    "by that of all images": IMAGE / np.float32(43.7),
    "dark, by that of all images": DARK / np.float32(9.3),
    "by 100": IMAGE / 100,
    "floats of 0..65535": IMAGE.astype("float32") * 257,
    "floats of 0..4095": IMAGE.astype("float32") * 16,
    "int32 of 0..65535": IMAGE.astype("int32") * 257,
    "uint32 of 0..65535": IMAGE.astype("uint32") * 257,
    "mean taken off": IMAGE - np.float32(120),
    "counts of a scanner": IMAGE.astype("int16") * 10 - 1000,
    "uint16 of 8 bits": IMAGE.astype("uint16"),
    "uint16 of 10 bits": IMAGE.astype("uint16") * 4,
    "uint16 of 12 bits": IMAGE.astype("uint16") * 16,
    "uint16 of 12 bits, big-endian": (IMAGE.astype("uint16") * 16).astype(">u2"),
    "uint16 of 14 bits, overexposed": np.minimum(IMAGE.astype("uint16") * 100, 16383),
    "uint8 of 0 and 1": DISK.astype("uint8"),
    "int64 of 0 and 1": DISK.astype("int64"),
    "float32 of 0 and 1": DISK.astype("float32"),
    "int8 that has wrapped": IMAGE.view("int8"),
}


@pytest.mark.parametrize("name", ODD)
def test_values_of_another_range(name):
    pixels = ODD[name]
    low, high = float(pixels.min()), float(pixels.max())
    top = 65535 if pixels.dtype.name == "uint16" else 255
    assert unexpected(pixels) == f"{pixels.dtype} pixels of {low:.6g}..{high:.6g}, where 0..{top} is expected"


@pytest.mark.parametrize(
    ("pixels", "seen"),
    [
        (hot(ONES, 255), f"float32 pixels of {ONES.min():.6g}..{ONES.max():.6g} but for 1 of up to 255, where 0..255"),
        (hot(np.stack([ONES] * 3, -1), 255), f"..{ONES.max():.6g} but for 3 of up to 255, where 0..255"),
        (hot(ONES * 2 - 1, 200), f"float32 pixels of {ONES.min() * 2 - 1:.6g}.."),
        (hot(IMAGE.astype("uint16") * 16, 65535), " but for 1 of up to 65535, where 0..65535"),
        (
            hot(IMAGE.astype("uint16"), 60000, 2),
            f"uint16 pixels of {IMAGE.min()}..{IMAGE.max()} but for 2 of up to 60000",
        ),
        (hot(np.minimum(IMAGE.astype("uint16") * 100, 16383), 65535), "..16383 but for 1 of up to 65535"),
    ],
)
def test_a_hot_pixel_hides_no_range(pixels, seen):
    assert seen in unexpected(pixels)


@pytest.mark.parametrize(
    ("pixels", "value"),
    [
        (unknown(IMAGE, -9999), "-9999"),
        (unknown(IMAGE, -9999, "int16"), "-9999"),
        (unknown(IMAGE, -32768, "int16"), "-32768"),
        (unknown(IMAGE, 2**31 - 1, "int32"), "2.14748e+09"),
        (unknown(IMAGE, -3.4e38), "-3.4e+38"),
        (unknown(IMAGE, np.finfo("float32").min), "-3.40282e+38"),
        (unknown(IMAGE, 1e38), "1e+38"),
        (unknown(IMAGE / 255, 1e20, "float64"), "1e+20"),
        (unknown(IMAGE, 9.96921e36), "9.96921e+36"),
    ],
)
def test_numbers_for_missing_data(pixels, value):
    for as_is in (False, True):
        found = unexpected(pixels, as_is)
        assert found == f"{pixels.dtype} pixels of {value} (6.25% of them), which looks like a number for missing data"


def test_a_network_that_takes_numbers_as_they_are():
    assert unexpected(ONES, as_is=True) is None
    assert unexpected(IMAGE.astype("int16") * 10 - 1000, as_is=True) is None
    assert unexpected(IMAGE.astype("uint16") * 16, as_is=True) is not None  # scaled by its type all the same


def test_units_follow_the_type():
    assert [unit(one) for one in ("bool", "uint8", "uint16", ">u2", "int32", "float32")] == [
        *(255, 1, 1 / 257, 1 / 257, 1, 1)
    ]
    for one in (IMAGE, IMAGE.astype("uint16") * 257, IMAGE.astype("float64")):
        np.testing.assert_allclose(to_255(one), IMAGE, rtol=1e-6)
    assert np.array_equal(to_255(DISK), DISK * 255)


def told(ranges):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        ranges.tell()
    return [(one.category, str(one.message)) for one in seen]


def test_many_images_are_told_once():
    ranges = Ranges("Images to train on")
    for number, pixels in enumerate((IMAGE, ONES, ONES / 2, IMAGE)):
        ranges.look(pixels, f"{number}.tif")
    ((category, text),) = told(ranges)
    assert category is InputWarning
    assert text.startswith("Images to train on: 2 of 4 are odd; the first: float32 pixels of 0.")
    assert text.endswith(
        ", where 0..255 is expected (1.tif). Nothing is rescaled by its values: bring pixels to 0..255, or to 0..65535"
        " in uint16."
    )


def test_the_way_out_is_that_of_what_is_odd():
    one, other = Ranges("Image"), Ranges("Image", "Leave it.")
    one.look(unknown(IMAGE, -9999))
    other.look(ONES)
    assert told(one)[0][1].endswith(
        "missing data. Replace such pixels, for example by the mean of the others, or leave the image out."
    )
    assert told(other)[0][1].endswith("expected. Leave it.")


def test_nothing_is_told_of_ordinary_images():
    ranges = Ranges("Images")
    assert told(ranges) == []
    for pixels in ORDINARY.values():
        ranges.look(pixels)
    assert told(ranges) == []
