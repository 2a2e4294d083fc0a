"""Files that are not what they seem: other formats, cut, too large, or no files at all."""

import os
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
import tifffile
from picture_files import GREY, RGB, RNG, chunk, png, save, tiff
from PIL import Image

from keras_unetpp.data.images import MAX_PIXELS, image_size, read_image, read_mask
from keras_unetpp.kit.errors import InputError

LARGE = RNG.integers(0, 256, (64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "EPS or PostScript"),
        (b"8BPS\0\1", "PSD"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\0\0\0\x18ftypheic", "HEIF or AVIF"),
        (b"\0\0\0\x1cftypavif", "HEIF or AVIF"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"P5\n2 2\n255\n", "PNM"),
        (b"\x93NUMPY\1\0", "NumPy"),
        (b"RIFF\4\0\0\0WAVE", "none of them"),
        (b"", "empty"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path, start, name):
    (tmp_path / "a.png").write_bytes(start)
    for read in (read_image, read_mask, image_size):
        with pytest.raises(
            InputError,
            match=r"a\.png: cannot identify image file; supported are PNG, JPEG, BMP, WebP and TIFF, "
            rf"this file is {name}: save it as PNG or TIFF$",
        ):
            read(tmp_path / "a.png")


WRITER = """
import sys
from PIL import Image
Image.init()
for name in sorted(set(Image.SAVE) - {"PNG", "JPEG", "MPO", "BMP", "WEBP", "TIFF"}):
    for mode in ("RGB", "L", "P", "1"):
        try:
            Image.new(mode, (64, 64)).save(f"{sys.argv[1]}/{name}.png", format=name)
        except (OSError, ValueError, KeyError):
            continue
        break
"""


def test_no_other_decoder_of_pillow_is_reached(tmp_path):
    # In a process of its own, since a Pillow that knows all formats may take another one for a name.
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=True, capture_output=True)
    files = [path for path in tmp_path.iterdir() if path.stat().st_size]
    assert len(files) > 10
    for path in files:
        with pytest.raises(InputError, match="cannot identify image file"):
            read_image(path)


@pytest.mark.parametrize("name", ["a.bmp", "a.webp"])
def test_bmp_and_webp_must_be_named_so(tmp_path, name):
    path = save(tmp_path / name, RGB, **({"lossless": True} if name == "a.webp" else {}))
    np.testing.assert_array_equal(read_image(path), RGB)
    np.testing.assert_array_equal(read_image(path.rename(tmp_path / name.upper())), RGB)
    other = (tmp_path / name.upper()).rename(tmp_path / "b.png")
    for read in (read_image, read_mask, image_size):
        with pytest.raises(
            InputError, match=rf"b\.png: it holds a \w+ picture under another name; rename it to {name[1:]}$"
        ):
            read(other)


def test_postscript_starts_no_program(tmp_path):
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    (tmp_path / "a.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    )
    code = f"from keras_unetpp.data.images import read_image\nread_image({str(tmp_path / 'a.png')!r})"
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ, "PATH": path})
    assert done.returncode == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes need a POSIX system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for read in (read_image, read_mask, image_size):
        with pytest.raises(InputError, match=r"a\.png: an image must be a regular file, not a pipe, socket or device$"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}), ("a.jpg", {}), ("a.jpg", {"progressive": True}), ("a.bmp", {}), ("a.webp", {}),
        ("a.webp", {"lossless": True}), ("a.tif", {}), ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"compression": "jpeg"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.98])
def test_an_incomplete_file_is_an_error(tmp_path, name, options, share):
    path = save(tmp_path / name, LARGE, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=rf"^cannot read .*{name}: "):
        read_image(path)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("bits", "colour"), [(8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (16, 6), (1, 0), (4, 0)])
def test_a_png_with_fewer_rows_than_its_header_says_is_an_error(tmp_path, bits, colour, interlaced):
    array = np.ones((9, 7, {0: 1, 2: 3, 4: 2, 6: 4}[colour]), np.uint16)
    path = png(tmp_path / "a.png", array, bits, colour, height=10, interlaced=interlaced)
    with pytest.raises(InputError, match=r"^cannot read .*a\.png: image file is truncated"):
        read_image(path)
    assert read_image(png(path, array * 0, bits, colour, interlaced=interlaced)).max() == 0  # black is not missing


def test_a_damaged_png_is_an_error(tmp_path):
    path = png(tmp_path / "a.png", GREY[..., None], 8, 0)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 10] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.png: the checksum of its 'IDAT' part is wrong, the file is damaged$"):
        read_image(path)


def test_animations_are_refused(tmp_path):
    for name in ("a.png", "a.webp"):
        save(tmp_path / name, RGB, save_all=True, append_images=[Image.fromarray(255 - RGB)])
        with pytest.raises(InputError, match="it is an animation: save the picture that is meant"):
            read_image(tmp_path / name)


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "a.jpg"), ("CMYK", "a.tif"), ("LAB", "a.tif"), ("YCbCr", "a.tif")])
def test_other_colours_are_refused_by_name(tmp_path, mode, name):
    Image.fromarray(RGB).convert(mode).save(tmp_path / name)
    label = r"CIE L\*a\*b\*" if mode == "LAB" else mode
    with pytest.raises(InputError, match=rf"its colours are {label}, not grey, palette or RGB: convert it to RGB$"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_tiff_of_any_bits_is_refused(tmp_path, bits):
    path = tiff(tmp_path / "a.tif", np.zeros((3, 4, 4), np.uint16), bits, 5)
    with pytest.raises(InputError, match="its colours are CMYK"):
        read_image(path)


# --- sizes


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tif"])
def test_a_limit_of_pixels_holds_for_every_format(tmp_path, name):
    path = save(tmp_path / name, LARGE, **({"lossless": True} if name == "a.webp" else {}))
    assert read_image(path, max_pixels=4096).shape == (64, 64, 3)
    with pytest.raises(
        InputError, match=r"64 x 64 pixels are more than the 4095 that are read at once: cut it, or raise max_pixels$"
    ):
        read_image(path, max_pixels=4095)
    if name != "a.jpg":
        with pytest.raises(InputError, match="raise max_pixels"):
            read_mask(path, max_pixels=4095)
    assert image_size(path) == (64, 64)


def test_voxels_and_channels_count(tmp_path):
    tifffile.imwrite(tmp_path / "v.tif", np.zeros((5, 8, 9), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="5 x 8 x 9 pixels are more than the 359"):
        read_image(tmp_path / "v.tif", 1, 3, max_pixels=359)
    many = np.zeros((8, 9, 12), np.uint8)
    tifffile.imwrite(tmp_path / "c.tif", many, photometric="minisblack", planarconfig="contig")
    assert read_image(tmp_path / "c.tif", max_pixels=216).shape == many.shape
    with pytest.raises(InputError, match="8 x 9 pixels of 12 samples are more than the 215"):
        read_image(tmp_path / "c.tif", max_pixels=215)


def test_large_pictures_are_told_from_their_header(tmp_path):
    side = 40000
    rows = zlib.compress(bytes(1000))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    (tmp_path / "a.png").write_bytes(start + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert side**2 > MAX_PIXELS
    with pytest.raises(InputError, match=f"40000 x 40000 pixels are more than the {MAX_PIXELS}"):
        read_image(tmp_path / "a.png")
    tags = {256: [side], 257: [side], 278: [side]}
    path = tiff(tmp_path / "a.tif", np.zeros((4, 4, 1), np.uint8), 8, 1, tags=tags)
    with pytest.raises(InputError, match=f"40000 x 40000 pixels are more than the {MAX_PIXELS}"):
        read_image(path)


def test_pillows_own_limit_neither_binds_nor_is_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("a.png", "a.jpg", "a.bmp"):
        path = save(tmp_path / name, LARGE)
        found = []
        thread = threading.Thread(target=lambda path=path, found=found: found.append(read_image(path).shape))
        thread.start()
        thread.join()
        assert found == [(*image_size(path), 3)]
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.sweep
def test_a_png_of_196_million_pixels_is_read(tmp_path):
    array = np.zeros((14000, 14000), np.uint8)
    array[-1, -1] = 9
    path = save(tmp_path / "a.png", array, compress_level=1)
    assert image_size(path) == (14000, 14000)
    np.testing.assert_array_equal(read_image(path)[..., 0], array)
