"""Every way to store a picture, against what was stored: images by their bits, masks as they stand."""

import numpy as np
import pytest
import tifffile
from picture_files import chunk, exif, packed, png, tiff
from PIL import Image

from keras_unetpp.data.images import image_size, read_image, read_mask, read_samples

HEIGHT, WIDTH = 11, 9
TURNED = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1), 7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1), 8: np.rot90,
}  # fmt: skip


def drawn(bits: int, channels: int, seed: int = 0) -> np.ndarray:
    """Random samples of some bits, the least and the greatest among them."""
    samples = np.random.default_rng(seed).integers(0, 2**bits, (HEIGHT, WIDTH, channels), dtype=np.uint16)
    samples[0, 0], samples[0, 1] = 0, 2**bits - 1
    return samples


def check_image(path, levels: np.ndarray, bits: int, channels: int | None = None) -> None:
    """`levels` of 0..1, channels last, come back as 0..255 to the nearest step of the type that the file has."""
    pixels = read_image(path, channels)
    deep = bits > 8
    assert pixels.dtype == (np.float32 if deep else np.uint8)
    np.testing.assert_allclose(pixels, 255 * levels, atol=0.51 / 257 if deep else 0.51)
    samples = read_samples(path, channels)
    assert samples.dtype == (np.bool_ if bits == 1 else np.uint16 if deep else np.uint8)
    assert samples.shape == pixels.shape
    assert pixels.shape[:2] == image_size(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("colour", "bits"),
    [*((0, bits) for bits in (1, 2, 4, 8, 16)), *((colour, bits) for colour in (2, 4, 6) for bits in (8, 16))],
)
def test_png(tmp_path, colour, bits, interlaced, orientation):
    stored = drawn(bits, {0: 1, 2: 3, 4: 2, 6: 4}[colour])
    text = chunk(b"eXIf", exif(orientation))
    late = orientation % 2  # EXIF may stand before the picture or behind it
    path = png(tmp_path / "a.png", stored, bits, colour, interlaced=interlaced, **{"after" if late else "before": text})
    right = TURNED[orientation](stored)
    levels = right / (2**bits - 1)
    check_image(path, levels[..., : 3 if colour in (2, 6) else 1], bits)
    check_image(path, levels, bits, channels=levels.shape[-1])
    if colour in (0, 4):
        mask = read_mask(path)
        assert mask.dtype == (np.uint16 if bits == 16 else np.uint8)
        np.testing.assert_array_equal(mask, right[..., 0])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_palette(tmp_path, bits):
    stored = drawn(bits, 1)
    palette = np.random.default_rng(1).integers(0, 256, (2**bits, 3))
    path = png(tmp_path / "a.png", stored, bits, 3, palette=palette)
    np.testing.assert_array_equal(read_image(path), palette[stored[..., 0]])
    np.testing.assert_array_equal(read_mask(path), stored[..., 0])


@pytest.mark.parametrize(("order", "big", "deflated"), [("<", False, False), (">", False, True), ("<", True, True)])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", range(1, 17))
def test_grey_tiff(tmp_path, bits, photometric, order, big, deflated):
    stored = drawn(bits, 1)
    path = tiff(tmp_path / "a.tif", stored, bits, photometric, order=order, big=big, deflated=deflated)
    levels = stored / (2**bits - 1)
    check_image(path, levels if photometric else 1 - levels, bits)
    if bits > 1:
        np.testing.assert_array_equal(read_mask(path), stored[..., 0])


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("alpha", [None, 1, 2])
@pytest.mark.parametrize("bits", [2, 4, 8, 10, 12, 16])
def test_rgb_tiff(tmp_path, bits, alpha, planar):
    stored = drawn(bits, 3 + bool(alpha))
    tags = {338: [alpha]} if alpha else {}
    levels = stored / (2**bits - 1)
    path = tiff(tmp_path / "a.tif", stored, bits, 2, planar=planar, tags=tags)
    check_image(path, levels[..., :3], bits)
    check_image(path, levels, bits, channels=levels.shape[-1])


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_grey_tiff_with_alpha(tmp_path, bits, photometric):
    stored = drawn(bits, 2)
    levels = stored[..., :1] / (2**bits - 1)
    path = tiff(tmp_path / "a.tif", stored, bits, photometric, tags={338: [2]})
    check_image(path, levels if photometric else 1 - levels, bits)
    np.testing.assert_array_equal(read_mask(path), stored[..., 0])


@pytest.mark.parametrize("factor", [257, 1])  # colours of 16 bits, as they should be, or of 8
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_tiff(tmp_path, bits, factor):
    stored = drawn(bits, 1)
    palette = np.random.default_rng(1).integers(1, 256, (2**bits, 3))
    tags = {320: (palette.T * factor).ravel().tolist()}
    path = tiff(tmp_path / "a.tif", stored, bits, 3, tags=tags)
    np.testing.assert_array_equal(read_image(path), palette[stored[..., 0]])
    np.testing.assert_array_equal(read_mask(path), stored[..., 0])


@pytest.mark.parametrize("orientation", [0, *range(1, 9), 9, 300])
@pytest.mark.parametrize(("bits", "photometric", "channels"), [(8, 1, 1), (12, 0, 1), (16, 2, 3), (1, 1, 1)])
def test_tiff_orientation(tmp_path, bits, photometric, channels, orientation):
    stored = drawn(bits, channels)
    right = TURNED.get(orientation, TURNED[1])(stored)  # what is no orientation turns nothing
    levels = right / (2**bits - 1)
    path = tiff(tmp_path / "a.tif", stored, bits, photometric, orientation=orientation)
    check_image(path, levels if photometric else 1 - levels, bits)
    if channels == 1:
        np.testing.assert_array_equal(read_mask(path), right[..., 0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_orientation_of_photographs(tmp_path, name, orientation):
    right = np.kron(np.random.default_rng(2).integers(0, 256, (3, 4)), np.ones((16, 16))).astype(np.uint8)
    tags = Image.Exif()
    tags[0x0112] = orientation
    undo = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    Image.fromarray(np.ascontiguousarray(TURNED[undo](right))).save(tmp_path / name, quality=95, exif=tags)
    pixels = read_image(tmp_path / name, 1)
    assert image_size(tmp_path / name) == right.shape
    assert np.abs(pixels[..., 0].astype(int) - right).max() < 12


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize(
    ("compression", "predictor"),
    [
        *((name, False) for name in (None, "zlib", "lzw", "packbits", "lzma", "zstd", "jpeg2000", "png")),
        *((name, True) for name in ("zlib", "lzw", "lzma", "zstd")),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_compressions(tmp_path, dtype, compression, predictor, tile):
    stored = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (37, 29, 3)).astype(dtype)
    options = {"compression": compression, "predictor": predictor, "photometric": "rgb", "tile": tile}
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    np.testing.assert_array_equal(read_samples(tmp_path / "a.tif"), stored)
    tifffile.imwrite(tmp_path / "m.tif", stored[..., 0], **{**options, "photometric": "minisblack"})
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), stored[..., 0])


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr", "minisblack"])
def test_jpeg_in_tiff_is_what_libtiff_gives(tmp_path, photometric):
    stored = np.kron(np.random.default_rng(4).integers(0, 256, (4, 3, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    stored = stored[..., 0] if photometric == "minisblack" else stored
    tifffile.imwrite(tmp_path / "a.tif", stored, compression="jpeg", photometric=photometric)
    with Image.open(tmp_path / "a.tif") as image:
        right = np.asarray(image).reshape(*stored.shape[:2], -1).astype(int)
    assert np.abs(read_image(tmp_path / "a.tif") - right).max() <= 3


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_bmp(tmp_path, bits):
    stored, palette = drawn(bits, 1), np.random.default_rng(5).integers(0, 256, (2**bits, 3), dtype=np.uint8)
    rows = [packed(row.reshape(1, -1), bits) for row in stored[::-1]]
    data = b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in rows)
    colours = np.column_stack([palette[:, ::-1], np.zeros(len(palette), np.uint8)]).tobytes()
    start = 14 + 40 + len(colours)
    numbers = (len(data) + start).to_bytes(4, "little") + bytes(4) + start.to_bytes(4, "little")
    header = b"".join(n.to_bytes(4, "little") for n in (40, WIDTH, HEIGHT, 1 | bits << 16, 0, 0, 0, 0, 2**bits, 0))
    (tmp_path / "a.bmp").write_bytes(b"BM" + numbers + header + colours + data)
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), palette[stored[..., 0]])
    np.testing.assert_array_equal(read_mask(tmp_path / "a.bmp"), stored[..., 0])
    assert image_size(tmp_path / "a.bmp") == (HEIGHT, WIDTH)
