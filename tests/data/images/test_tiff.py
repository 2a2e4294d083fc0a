"""TIFF: pages, volumes and their axes, files of several, nodata, and directories that are damaged."""

import itertools
import struct
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import tifffile
from picture_files import GREY, RNG, tiff
from PIL import Image
from sampling import sampled

from keras_unetpp.data.images import image_size, read_image, read_mask, read_samples
from keras_unetpp.data.images.directories import read_pages
from keras_unetpp.kit.errors import InputError, InputWarning

SLICES = RNG.integers(0, 256, (4, 8, 9), np.uint8)


# --- volumes


@pytest.mark.parametrize("count", [3, 4])
def test_planes_are_slices_where_a_volume_is_asked_for(tmp_path, count):
    path, slices = tmp_path / "v.tif", SLICES[:count]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tifffile says that it takes them for colours
        tifffile.imwrite(path, slices)
    for channels in (None, 1):
        np.testing.assert_array_equal(read_image(path, channels, 3), slices[..., None])
        assert image_size(path, 3, channels) == slices.shape
    np.testing.assert_array_equal(read_mask(path, 3), slices)
    np.testing.assert_array_equal(read_image(path), np.moveaxis(slices, 0, -1)[..., :3])  # a picture has colours
    for read in (lambda: read_image(path, 3, 3), lambda: image_size(path, 3, 3)):
        with pytest.raises(
            InputError,
            match=rf"v\.tif: its {count} planes may be slices or colours of one slice: write it with the axes ZYX or "
            r"CYX \(tifffile: metadata=\{'axes': 'ZYX'\}\), or ask for 1 channel if they are slices$",
        ):
            read()


@pytest.mark.parametrize("ome", [False, True])
def test_axes_that_a_file_names_decide(tmp_path, ome):
    three = SLICES[:3]
    tifffile.imwrite(tmp_path / "z.tif", three, metadata={"axes": "ZYX"}, photometric="minisblack", ome=ome)
    np.testing.assert_array_equal(read_image(tmp_path / "z.tif", 3, 3), np.repeat(three[..., None], 3, -1))
    tifffile.imwrite(tmp_path / "c.tif", three, metadata={"axes": "CYX"}, photometric="minisblack", ome=ome)
    np.testing.assert_array_equal(read_image(tmp_path / "c.tif", 3, 3), np.moveaxis(three, 0, -1)[None])
    assert image_size(tmp_path / "c.tif", 3, 3) == (1, 8, 9)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_slices_that_tifffile_calls_channels(tmp_path, kind):
    tifffile.imwrite(tmp_path / "v.tif", SLICES, photometric="minisblack", **{kind: True})
    with pytest.warns(
        InputWarning, match=r"v\.tif calls its 4 planes channels\. For 1 channel is asked for, they are"
    ) as told:
        np.testing.assert_array_equal(read_image(tmp_path / "v.tif", 1, 3), SLICES[..., None])
    assert image_size(tmp_path / "v.tif", 3, 1) == SLICES.shape
    assert len(told) == 1
    np.testing.assert_array_equal(read_image(tmp_path / "v.tif", 4, 3), np.moveaxis(SLICES, 0, -1)[None])


def test_many_planes_of_a_volume_are_channels_or_slices_by_their_count(tmp_path):
    path = tmp_path / "a.tif"
    bands = RNG.integers(0, 256, (6, 8, 9), np.uint8)
    tifffile.imwrite(path, bands, photometric="minisblack", planarconfig="separate", metadata=None)
    for channels in (None, 6):
        np.testing.assert_array_equal(read_image(path, channels, 3), np.moveaxis(bands, 0, -1)[None])
    np.testing.assert_array_equal(read_image(path, 1, 3), bands[..., None])


def test_pages_written_one_by_one_are_slices(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in SLICES:
            file.write(page, photometric="minisblack")
    first, *others = (Image.fromarray(page) for page in SLICES)
    first.save(tmp_path / "b.tif", save_all=True, append_images=others)
    for path in (tmp_path / "a.tif", tmp_path / "b.tif"):
        np.testing.assert_array_equal(read_image(path, 1, 3), SLICES[..., None])
        assert image_size(path, 3) == SLICES.shape
        with pytest.raises(InputError, match="a 2-D image is required, the file has 4 pages"):
            read_image(path)


def test_a_smaller_copy_behind_a_picture_is_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(SLICES[0], photometric="minisblack", metadata=None)
        file.write(SLICES[0, ::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], SLICES[0])


def test_a_picture_cropped_since_tifffile_described_it(tmp_path):
    path = tiff(tmp_path / "a.tif", SLICES[0][..., None], 8, 1, tags={270: b'{"shape": [16, 9]}\0'})
    np.testing.assert_array_equal(read_image(path)[..., 0], SLICES[0])


@pytest.mark.parametrize(
    "text", [b'{"axes": "ZYX", "shape": [3, 8, 9]}\0', b"shape=(3, 8, 9)\0", b'{"shape": "wide"}\0']
)
def test_descriptions_of_older_and_other_programs(tmp_path, text):
    three = np.moveaxis(SLICES[:3], 0, -1)
    path = tiff(tmp_path / "a.tif", three, 8, 2, planar=True, tags={270: text})
    np.testing.assert_array_equal(read_image(path, 1, 3)[..., 0], SLICES[:3])
    if b"ZYX" in text:
        np.testing.assert_array_equal(read_image(path, 3, 3), np.repeat(SLICES[:3, ..., None], 3, -1))
    else:
        with pytest.raises(InputError, match="may be slices or colours"):
            read_image(path, 3, 3)


def test_two_stacks_are_told_apart(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(SLICES, photometric="minisblack")
        file.write(SLICES, photometric="minisblack")
    with pytest.raises(InputError, match="it describes a stack of 4 pages and holds 8: write one stack a file"):
        read_image(tmp_path / "a.tif", 1, 3)


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"ome": True}, {"metadata": None}, {"bigtiff": True}])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.filterwarnings("ignore:.*calls its 6 planes channels")
def test_a_stack_that_is_cut_is_an_error(tmp_path, options, compression, share):
    if compression and "imagej" in options:
        options = {"metadata": {"axes": "ZYX"}}  # ImageJ compresses nothing
    path = tmp_path / "a.tif"
    stack = RNG.integers(0, 256, (6, 80, 90), np.uint8)
    tifffile.imwrite(path, stack, photometric="minisblack", compression=compression, **options)
    np.testing.assert_array_equal(read_image(path, 1, 3)[..., 0], stack)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    for ndim in (2, 3):
        with pytest.raises(InputError, match=r"^cannot read .*a\.tif: "):
            read_image(path, 1, ndim)


# --- files of several


def ome_of_two_files(folder):
    """Slice 0 in `in/a.ome.tif`, which names `private/b.ome.tif`, of the number 77, as that of slice 1."""
    own, other = "urn:uuid:11111111-1111-1111-1111-111111111111", "urn:uuid:22222222-2222-2222-2222-222222222222"
    parts = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID></TiffData>'
        for z, (name, uuid) in enumerate([("a.ome.tif", own), ("../private/b.ome.tif", other)])
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="%s"><Image '
        'ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="9" SizeY="8" SizeC="1" '
        f'SizeZ="2" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{parts}</Pixels></Image></OME>'
    )
    for name, number, uuid in (("in/a", 5, own), ("private/b", 77, other)):
        (folder / name).parent.mkdir()
        pixels = np.full((8, 9), number, np.uint8)
        tifffile.imwrite(folder / f"{name}.ome.tif", pixels, description=xml % uuid, metadata=None)
    return folder / "in" / "a.ome.tif"


def test_no_file_is_read_that_a_file_names(tmp_path):
    path = ome_of_two_files(tmp_path)
    with pytest.warns(
        InputWarning, match=r"a\.ome\.tif is one of several OME-TIFF files of one image\. Only the pages"
    ):
        np.testing.assert_array_equal(read_image(path, 1, 3), np.full((1, 8, 9, 1), 5))
    assert image_size(path, 3) == (1, 8, 9)


def test_ome_with_entities_is_refused(tmp_path):
    xml = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><OME xmlns="http://www.openmicroscopy.org/x">&a;</OME>'
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, description=xml, metadata=None)
    with pytest.raises(InputError, match="its OME-XML defines entities, which are not read"):
        read_image(tmp_path / "a.ome.tif")


# --- numbers


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32, np.int64])
def test_integers_of_other_kinds_are_masks_only(tmp_path, dtype):
    ids = np.array([[0, 1, 100], [7, 7, 5]], dtype)
    if np.issubdtype(dtype, np.signedinteger):
        ids[0, 0] = -1
    tifffile.imwrite(tmp_path / "a.tif", ids)
    mask = read_mask(tmp_path / "a.tif")
    assert mask.dtype == dtype
    np.testing.assert_array_equal(mask, ids)
    with pytest.raises(
        InputError, match=f"holds {np.dtype(dtype).name}: save it as 16-bit unsigned, or as floating-point"
    ):
        read_image(tmp_path / "a.tif")


def test_floating_point_beyond_32_bits_is_not_finite(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((8, 9), 1e300))
    with pytest.raises(InputError, match="pixels must be finite"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("colours", [[7], [1, 2], [1] * 9, [1] * 767, b"a text\0"])
def test_a_palette_that_is_none_is_told(tmp_path, colours):
    path = tiff(tmp_path / "a.tif", GREY[..., None], 8, 3, tags={320: colours})
    with pytest.raises(InputError, match=r"a\.tif: (its palette (must have red|has \d+ colours)|.*palette without)"):
        read_image(path)


def test_a_negative_index_of_a_palette_is_told(tmp_path):
    tags = {320: [1] * 768, 339: [2]}
    path = tiff(tmp_path / "a.tif", GREY[..., None] | 128, 8, 3, tags=tags)
    with pytest.raises(InputError, match=r"a\.tif: its palette has 256 colours, a pixel is -\d+"):
        read_image(path)


def test_a_pixel_outside_of_a_palette_is_told(tmp_path):
    path = tiff(tmp_path / "a.tif", np.full((2, 2, 1), 3), 8, 3, tags={320: [0, 65535] * 3})
    with pytest.raises(InputError, match=r"cannot read .*a\.tif: "):
        read_image(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(-9999, "-9999"), (np.nan, "nan"), (-3.4028235e38, "-3.402823e+38"), (-3.4028235e38, "-1.79769313486232e+308"),
     (np.inf, "inf"), (0.1, "0.1")],
)  # fmt: skip
def test_nodata_of_floating_point(tmp_path, value, text):
    pixels = RNG.uniform(1, 255, (8, 9)).astype(np.float32)
    right = pixels.copy()
    right[:2, :3] = np.delete(pixels.ravel(), [0, 1, 2, 9, 10, 11]).mean(dtype=np.float64)
    pixels[:2, :3] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=[(42113, "s", 0, text, True)])
    with pytest.warns(InputWarning, match=r"a\.tif: 6 of 72 pixels hold .*, which the file names as nodata") as told:
        np.testing.assert_allclose(read_image(tmp_path / "a.tif")[..., 0], right, rtol=1e-6)
    assert len(told) == 1


def test_nodata_of_integers_is_a_number_of_all_channels(tmp_path):
    pixels = RNG.integers(1, 256, (8, 9, 3), np.uint8)
    pixels[0, 0] = 0
    pixels[1, 1, 0] = 0  # black in one channel is a colour
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=[(42113, "s", 0, "0", True)])
    with pytest.warns(InputWarning, match="1 of 72 pixels hold 0, which the file names as nodata"):
        found = read_image(tmp_path / "a.tif")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0, 0], np.rint(pixels.reshape(-1, 3)[1:].mean(0)))
    np.testing.assert_array_equal(found.reshape(-1, 3)[1:], pixels.reshape(-1, 3)[1:])


def test_nodata_is_the_number_as_stored(tmp_path):
    stored = RNG.integers(0, 1023, (8, 9, 1), np.uint16)
    stored[3, 3] = 1023
    path = tiff(tmp_path / "a.tif", stored, 10, 0, tags={42113: b"1023\0"})
    with pytest.warns(InputWarning, match="1 of 72 pixels hold 1023"):
        found = read_samples(path)[..., 0]
    right = np.rint((1023 - stored[..., 0]) * (65535 / 1023))
    assert found[3, 3] == round(np.delete(right.ravel(), 3 * 9 + 3).mean())
    assert (found == right).sum() == 71
    assert read_mask(path)[3, 3] == 1023  # an id like any other


def test_nodata_that_no_pixel_holds_is_not_told(tmp_path, recwarn):
    for text in ("-9999", "nan", "1.5", "what"):
        tifffile.imwrite(tmp_path / "a.tif", GREY, extratags=[(42113, "s", 0, text, True)])
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], GREY)
    assert not recwarn.list


def test_nothing_but_nodata_is_an_error(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((8, 9), 7, np.uint8), extratags=[(42113, "s", 0, "7", True)])
    with pytest.raises(InputError, match=r"a\.tif holds nothing but 7, which it names as nodata: leave the file out$"):
        read_image(tmp_path / "a.tif")


def test_tiles_left_out_on_purpose_are_zero(tmp_path):
    ones = np.ones((16, 16), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(iter([ones, None, None, ones]), shape=(32, 32), dtype=np.uint8, tile=(16, 16))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), np.kron(np.eye(2, dtype=np.uint8), ones))


# --- directories


@pytest.mark.parametrize("metadata", sampled([None, {}], [None]))
def test_the_header_of_20000_pages_takes_no_time(tmp_path, metadata):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number in range(20000):
            file.write(np.zeros((1 + number % 2, 6), np.uint8), metadata=metadata)
    start = time.process_time()
    assert image_size(tmp_path / "a.tif", 3) == (10000, 1, 6)
    assert time.process_time() - start < 5  # comparing each page with all others takes a hundred


def pages(path, offsets, size=1000):
    """A file of directories without tags at some offsets, each of which leads to the next."""
    data = bytearray(b"II*\0" + struct.pack("<I", offsets[0])).ljust(size, b"\0")
    for offset, following in itertools.pairwise(offsets):
        struct.pack_into("<HI", data, offset, 0, following)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("offsets", "count", "whole"),
    [((8, 20, 40, 0), 3, True), ((8, 20, 8), 2, False), ((8, 20, 5000), 2, False), ((998,), 0, False)],
)
def test_the_chain_of_directories(tmp_path, offsets, count, whole):
    with open(pages(tmp_path / "a.tif", offsets), "rb") as file:
        found = read_pages(file)
    assert (len(found.alike), found.whole) == (count, whole)


def test_directories_that_overlap_are_refused(tmp_path):
    count, entries = 5000, 1000
    data = bytearray(struct.pack("<H", entries) * (2 * count + 6 * entries + 10))
    data[:8] = b"II*\0" + struct.pack("<I", 8)
    for at in range(8, 8 + 4 * count, 4):  # a directory of 1,000 entries every 4 bytes
        struct.pack_into("<I", data, at + 2 + 12 * entries, at + 4)
    (tmp_path / "a.tif").write_bytes(data)
    with (
        open(tmp_path / "a.tif", "rb") as file,
        pytest.raises(ValueError, match="the directories of its pages overlap, the file is damaged"),
    ):
        read_pages(file)
    with pytest.raises(InputError, match=r"^cannot read .*a\.tif: "):
        image_size(tmp_path / "a.tif")


def test_several_numbers_where_one_belongs_are_refused(tmp_path):
    path = tiff(tmp_path / "a.tif", GREY[..., None], 8, 1, tags={257: [9] * 100})
    with pytest.raises(InputError, match="its first page gives no or several numbers where one belongs"):
        image_size(path)


@pytest.mark.parametrize("kind", [2, 5, 7, 12])
@pytest.mark.parametrize("tag", [256, 257, 277])
def test_what_is_no_whole_number_where_one_belongs_is_refused(tmp_path, tag, kind):
    data = bytearray(tiff(tmp_path / "a.tif", GREY[..., None], 8, 1).read_bytes())
    start = struct.unpack_from("<I", data, 4)[0]
    entries = range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12)
    (entry,) = [at for at in entries if struct.unpack_from("<H", data, at)[0] == tag]
    struct.pack_into("<H", data, entry + 2, kind)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match="its first page gives no or several numbers where one belongs"):
        image_size(tmp_path / "a.tif")


def test_a_picture_inside_a_tile_may_not_be_larger_than_the_limit(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, compression="jpeg2000")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    at = data.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">II", data, at + 8, 10**6, 10**6)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match=r"1000000 x 1000000 pixels are more than the"):
        read_image(tmp_path / "a.tif")


def test_rare_compressions_are_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((32, 32), np.uint8), compression="jpegxr")
    for read in (read_image, read_mask):
        with pytest.raises(
            InputError, match=r"its compression, JPEGXR\w*, is not supported: save it with deflate or LZW$"
        ):
            read(tmp_path / "a.tif")


def test_tifffile_prints_nothing_of_its_own(tmp_path):
    pixels = np.zeros((8, 9), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=[(42113, "s", 0, "what", True)])
    code = f"from keras_unetpp.data.images import read_image\nread_image({str(tmp_path / 'a.tif')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
