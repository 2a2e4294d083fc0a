import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_unetpp.data.images import read_image
from keras_unetpp.formats.saved_model.decoding import SEGMENTS, decoder
from keras_unetpp.formats.signature import Signature

SIDES = (22, 35)


@pytest.fixture(scope="module")
def decoders():
    """The two functions for each count of channels."""
    return {channels: decoder(Signature((1,), (None, None), "image_bytes", "mask", channels, 1, "sigmoid"))
            for channels in (1, 3, 4)}  # fmt: skip


@pytest.fixture(scope="module")
def picture():
    """Colours that are smooth enough for JPEG."""
    y, x = np.mgrid[: SIDES[0], : SIDES[1]]
    return np.stack([40 + 5 * x, 20 + 9 * y, 200 - 3 * x - y], -1).astype(np.uint8)


def encoded(pixels, format="png", **options):
    data = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(data, format, **options)
    return data.getvalue()


def agree(decoders, data, tmp_path, channels=(1, 3), atol=1e-4):
    """Pixels and sides in the graph are those of the file."""
    path = tmp_path / "image"
    path.write_bytes(data)
    for count in channels:
        sides, pixels = decoders[count]
        expected = read_image(path, count)
        assert sides(data).numpy().tolist() == list(expected.shape[:2])
        np.testing.assert_allclose(pixels(data).numpy(), expected, atol=atol)


def tiff(order, *entries, behind=b""):
    """An EXIF structure: entries of (tag, type, count, value in four bytes)."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    rows = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return mark + struct.pack(order + "IH", 8, len(entries)) + rows + struct.pack(order + "I", 0) + behind


def orientation(order, value):
    return 0x0112, 3, 1, struct.pack(order + "HH", value, 0)


def with_segments(jpeg, *segments):
    """A JPEG with segments (marker, content) behind its first two bytes."""
    own = b"".join(bytes([0xFF, marker]) + struct.pack(">H", len(text) + 2) + text for marker, text in segments)
    return jpeg[:2] + own + jpeg[2:]


def exif_of(order, value, *more, behind=b""):
    return 0xE1, b"Exif\0\0" + tiff(order, (0x010F, 2, 4, b"abc\0"), orientation(order, value), *more, behind=behind)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(png, name, data, behind=False):
    """A PNG with one more chunk, behind its header or its pixels."""
    place = -12 if behind else 33
    return png[:place] + chunk(name, data) + png[place:]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("value", range(10))
@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_orientation(format, value, order, decoders, picture, tmp_path):
    data = encoded(picture, format)
    text = exif_of(order, value)[1]
    data = with_segments(data, (0xE1, text)) if format == "jpeg" else with_chunk(data, b"eXIf", text[6:])
    agree(decoders, data, tmp_path)
    turned = tuple(decoders[3][0](data).numpy()) == SIDES[::-1]
    assert turned == (5 <= value <= 8)


@pytest.mark.parametrize(
    "options",
    [
        *({"subsampling": name} for name in ("4:4:4", "4:2:2", "4:2:0")),
        *({"progressive": True}, {"quality": 30}, {"quality": 100}, {"restart_marker_blocks": 2}),
    ],
)
def test_kinds_of_jpeg(options, decoders, picture, tmp_path):
    agree(decoders, encoded(picture, "jpeg", **options), tmp_path)
    agree(decoders, encoded(picture[..., 0], "jpeg", **({"subsampling": 0} | options)), tmp_path)


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), (0xE2, b"\xff\xe1" * 9000), exif_of("<", 6)],
        [exif_of("<", 6, behind=b"\xff\xd8\xff\xe1\0\x10Exif\0\0" + tiff("<", orientation("<", 3)))],
        [exif_of(">", 8), exif_of(">", 3)],
        [(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>')],
        [(0xE1, b"http://ns.adobe.com/xap/1.0/\0<tiff:Orientation>8</tiff:Orientation>")],
        [(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'), exif_of(">", 1)],
        [(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")],
        [(0xFE, b"Exif\0\0" + tiff("<", orientation("<", 6)))],
        [(0xEE, b"Adobe\0\x64\0\0\0\0\1"), exif_of("<", 5)],
        [(0xE1, b"Exif\0\0" + tiff("<", (0x0112, 4, 1, b"\6\0\0\0")))],
        [(0xE1, b"Exif\0\0" + tiff("<"))],
        [(0xE1, b"Exif\0\0II*\0" + struct.pack("<I", 2**31 + 5))],
        [(0xE1, b"Exif\0\0" + tiff(">", orientation(">", 6))[:-14])],
    ],
)
def test_what_lies_before_the_pixels(segments, decoders, picture, tmp_path):
    agree(decoders, with_segments(encoded(picture, "jpeg"), *segments), tmp_path)


def test_fill_bytes_and_the_limit_of_segments(decoders, picture, tmp_path):
    data = with_segments(encoded(picture, "jpeg"), exif_of("<", 6))
    agree(decoders, data[:2] + b"\xff\xff\xff" + data[2:], tmp_path)
    with pytest.raises(tf.errors.InvalidArgumentError, match="come to its pixels within 4096 segments"):
        decoders[3][1](with_segments(data, *[(0xFE, b"")] * SEGMENTS))


@pytest.mark.parametrize(
    "what", [b"", b"Exif\0\0", b"Exif\0\0II", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0XX*\0\x08\0\0\0"]
)
def test_broken_exif_counts_as_none(what, decoders, picture):
    data = encoded(picture, "jpeg")
    sides, pixels = decoders[3]
    np.testing.assert_array_equal(pixels(with_segments(data, (0xE1, what))), pixels(data))
    assert tuple(sides(with_segments(data, (0xE1, what))).numpy()) == SIDES


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_cmyk_is_refused_by_name(channels, decoders, picture):
    data = encoded(Image.fromarray(picture).convert("CMYK"), "jpeg")
    with pytest.raises(tf.errors.InvalidArgumentError, match="A JPEG of CMYK or YCCK has no defined colours"):
        decoders[channels][1](data)


def test_kinds_of_png(decoders, picture, tmp_path):
    grey, alpha = picture[..., 0], picture[..., 1:2]
    rgba = np.concatenate([picture, alpha], -1)
    for pixels in (grey, picture, rgba, np.concatenate([picture[..., :1], alpha], -1), grey > 90):
        agree(decoders, encoded(pixels), tmp_path)
    agree(decoders, encoded(rgba), tmp_path, (4,))
    for options in ({"bits": 4}, {"bits": 1}, {"transparency": 0}, {"transparency": bytes([9, 200])}):
        agree(decoders, encoded(Image.fromarray(picture).quantize(2 if "bits" in options else 64), **options), tmp_path)
    agree(decoders, encoded(grey, transparency=60), tmp_path)
    agree(decoders, encoded(picture, transparency=(40, 20, 200)), tmp_path)


def raw_png(samples, bits, colour, more=b""):
    """A PNG of rows of samples as they are packed in the file."""
    sides = len(samples[0]), len(samples)
    if bits == 16:
        rows = [np.asarray(row, ">u2").tobytes() for row in samples]
        sides = len(samples[0]) // {0: 1, 2: 3, 4: 2, 6: 4}[colour], len(samples)
    else:
        rows = [np.packbits([[value >> bit & 1 for bit in reversed(range(bits))] for value in row]).tobytes()
                for row in samples]  # fmt: skip
    head = struct.pack(">IIBBBBB", *sides, bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_sixteen_bits(colour, decoders, tmp_path):
    count = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    samples = np.random.default_rng(colour).integers(0, 65536, (6, 7, count))
    data = raw_png(samples.reshape(6, -1), 16, colour)
    agree(decoders, data, tmp_path, (1, 3) if count < 4 else (1, 3, 4))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits(bits, decoders, tmp_path):
    samples = np.random.default_rng(bits).integers(0, 2**bits, (6, 9))
    agree(decoders, raw_png(samples.tolist(), bits, 0), tmp_path)


def test_exif_behind_the_pixels_and_xmp_of_a_png(decoders, picture, tmp_path):
    data = encoded(picture)
    agree(decoders, with_chunk(data, b"eXIf", tiff(">", orientation(">", 6)), behind=True), tmp_path)
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="8"/>'
    agree(decoders, with_chunk(data, b"iTXt", xmp), tmp_path)
    assert tuple(decoders[1][0](with_chunk(data, b"iTXt", xmp)).numpy()) == SIDES[::-1]


def refused(decoders, data, text):
    """Both functions of every count of channels raise, with a text."""
    for functions in decoders.values():
        for function in functions:
            with pytest.raises(tf.errors.InvalidArgumentError, match=text):
                function(data)


@pytest.mark.parametrize(
    ("format", "options", "name"),
    [
        ("gif", {}, "GIF"),
        ("gif", {"animated": True}, "GIF"),
        ("webp", {}, "WebP"),
        ("webp", {"lossless": True}, "WebP"),
        ("webp", {"animated": True}, "WebP"),
        ("webp", {"exif": b"Exif\0\0" + tiff("<", orientation("<", 6))}, "WebP"),
        ("bmp", {}, "BMP"),
        ("tiff", {}, "TIFF"),
        ("ico", {}, "ICO"),
        ("ppm", {}, "PNM"),
        ("jpeg2000", {}, "JPEG 2000"),
    ],
)
def test_other_formats_are_refused_by_name(format, options, name, decoders, picture):
    if options.pop("animated", False):
        options = {"save_all": True, "append_images": [Image.fromarray(255 - picture)]}
    try:
        data = encoded(picture, format, **options)
    except (KeyError, OSError) as error:
        pytest.skip(f"Pillow does not write {format}: {error}")
    refused(decoders, data, f"must be PNG or JPEG. .*Received:.*{name}")


@pytest.mark.parametrize("data", [b"", b"\xff", b"no image", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(data, decoders, picture):
    for cut in (data, encoded(picture, "jpeg")[:200], encoded(picture)[:-30]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decoders[3][1](cut)


def test_an_animated_png_is_refused(decoders, picture):
    data = encoded(picture, save_all=True, append_images=[Image.fromarray(255 - picture)])
    refused(decoders, data, "A PNG must hold one picture. Received: an animation")
    one = with_chunk(encoded(picture), b"tEXt", b"Comment\0no acTL here, nor IDAT, nor eXIf")
    np.testing.assert_array_equal(decoders[3][1](one), picture)


def text_chunks(value):
    """Chunks before the pixels that tell an orientation in a form that only some programs read."""
    exif = b"\nexif\n      26\n" + tiff("<", orientation("<", value)).hex().encode() + b"\n"
    xmp = b'<x tiff:Orientation="%d"/>' % value
    return {
        "old": (b"tEXt", b"Raw profile type exif\0" + exif),
        "old, compressed": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(exif)),
        "XMP, compressed": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)),
        "XMP as text, compressed": (b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(xmp)),
    }


@pytest.mark.parametrize("form", text_chunks(6))
def test_orientations_in_compressed_text_are_refused(form, decoders, picture, tmp_path):
    data = with_chunk(encoded(picture), *text_chunks(6)[form])
    (tmp_path / "a.png").write_bytes(data)
    assert read_image(tmp_path / "a.png").shape[:2] == SIDES[::-1]
    refused(decoders, data, "A PNG must tell its orientation in its eXIf part or not at all")


def test_an_orientation_in_the_form_of_old_programs_matters_only_without_another(decoders, picture, tmp_path):
    data = with_chunk(encoded(picture), *text_chunks(6)["old"])
    agree(decoders, with_chunk(data, b"eXIf", tiff("<", orientation("<", 8))), tmp_path)


def test_an_orientation_in_text_behind_the_pixels_counts_as_none(decoders, picture, tmp_path):
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="8"/>'
    agree(decoders, with_chunk(encoded(picture), b"iTXt", xmp, behind=True), tmp_path)
    agree(decoders, with_chunk(encoded(picture), *text_chunks(6)["old"], behind=True), tmp_path)


@pytest.mark.parametrize("chunks", [[(b"gAMA", struct.pack(">I", 100000))], [(b"sBIT", b"\5\6\5")],
                                    [(b"sRGB", b"\0")], [(b"bKGD", struct.pack(">HHH", 9, 9, 9))]])  # fmt: skip
def test_what_a_png_says_of_its_colours_changes_no_number(chunks, decoders, picture, tmp_path):
    data = encoded(picture)
    for one in chunks:
        data = with_chunk(data, *one)
    agree(decoders, data, tmp_path)


def test_greys_half_way_between_two_levels_agree(decoders, tmp_path):
    """Sums of whole colours in thousandths: all that are half-way, of which float32 rounds some up and some down."""
    red, green, blue = np.mgrid[:256, :256, :256:7].reshape(3, -1).astype(np.uint8)
    half = (red.astype(int) * 299 + green.astype(int) * 587 + blue.astype(int) * 114) % 1000 == 500
    colours = np.stack([red, green, blue], -1)[half]
    assert len(colours) > 2000
    colours = colours[: len(colours) // 40 * 40].reshape(40, -1, 3)
    agree(decoders, encoded(colours), tmp_path)
    rng = np.random.default_rng(0)
    agree(decoders, encoded(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)), tmp_path)
    agree(decoders, raw_png(rng.integers(0, 65536, (100, 300)), 16, 2), tmp_path)


def test_channels_that_do_not_fit_are_told(decoders, picture):
    for data in (encoded(picture), encoded(picture[..., 0]), encoded(picture, "jpeg")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"The model takes images of 4 channels\. Received:"):
            decoders[4][1](data)
