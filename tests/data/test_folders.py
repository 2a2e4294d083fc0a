import shutil
import unicodedata
from contextlib import nullcontext

import numpy as np
import pytest
from pictures import disks

from keras_unetpp.cli import main
from keras_unetpp.data.data_folder import DataFolder, data_folder
from keras_unetpp.data.folders import Sample, check_samples, read_folder, read_pair, scan
from keras_unetpp.data.images import write_png
from keras_unetpp.data.index import read_index
from keras_unetpp.data.sharing import split_folder
from keras_unetpp.kit.errors import InputError


@pytest.fixture
def folder(tmp_path):
    return disks(tmp_path / "data", side=24)


def left_out(folder, **options):
    found = scan(DataFolder(folder, **options)).left_out
    return {one.reason: (one.names, one.told) for one in found if one.names}


def index(folder, text):
    (folder / "index.csv").write_text(text)


def test_nothing_is_left_out_of_an_ordinary_folder(folder):
    assert left_out(folder) == {}


def test_what_is_left_out_is_listed_with_its_reason(folder):
    images, masks = folder / "images", folder / "masks"
    shutil.copy(masks / "0.png", masks / "lonely.png")
    shutil.copy(masks / "0.png", masks / "strange.png")
    (images / "strange.xyz").write_bytes(b"?")
    (images / "film.gif").write_bytes(b"GIF89a")
    (images / "notes.txt").write_text("notes")
    (images / ".DS_Store").write_bytes(b"")
    (masks / "Thumbs.db").write_bytes(b"")
    shutil.copytree(masks, images / "more" / "deeper")
    (images / "empty").mkdir()
    shutil.copytree(folder / "images", folder / "test" / "images")
    assert left_out(folder) == {
        "masks without an image": (("lonely.png", "strange.png"), True),
        "folders with images within images": (("images/more/",), True),
        "images in images of a format that is not read": (("film.gif", "strange.xyz"), True),
        "files of other types in images": (("notes.txt",), False),
        "hidden files in images": ((".DS_Store",), False),
        "files of other types in masks": (("Thumbs.db",), False),
        "folders beside those that are read": (("test/",), False),
    }


def test_images_that_an_index_leaves_out_are_listed(folder):
    index(folder, "file,split\n0.png,train\n1.png,val\n")
    assert left_out(folder) == {"images that index.csv does not list": (("2.png", "3.png", "4.png", "5.png"), True)}


def test_images_beside_the_folders_of_splits_are_listed(folder):
    for split in ("train", "val"):
        disks(folder / split, 2, side=24)
    assert len(read_folder(folder)) == 4
    assert left_out(folder) == {"folders beside those that are read": (("images/",), True)}


def test_a_suffix_of_masks(folder):
    for path in list((folder / "masks").iterdir()):
        path.rename(path.with_stem(f"{path.stem}_mask"))
    with pytest.raises(InputError, match=r"0\.png has none.*\(6 images have none\)\. If 0_mask is its mask, set"):
        read_folder(folder)
    samples = read_folder(folder, mask_suffix="_mask")
    assert [(one.name, one.mask.name) for one in samples][:2] == [("0", "0_mask.png"), ("1", "1_mask.png")]
    assert samples == read_folder(DataFolder(folder, mask_suffix="_mask"))
    shutil.copy(folder / "masks" / "0_mask.png", folder / "masks" / "0.png")
    assert left_out(folder, mask_suffix="_mask") == {"masks without the suffix _mask": (("0.png",), True)}


@pytest.mark.parametrize("name", ["images", "."])
def test_images_and_masks_in_one_folder(folder, name):
    for path in list((folder / "masks").iterdir()):
        shutil.move(path, folder / "images" / f"{path.stem}-seg.png")
    (folder / "masks").rmdir()
    root = folder / "images" if name == "." else folder
    options = {"images": name, "masks": name, "mask_suffix": "-seg"}
    assert [one.name for one in read_folder(root, **options)] == list("012345")
    assert left_out(root, **options) == {}
    with pytest.raises(InputError, match="in one folder need a mask_suffix"):
        read_folder(root, images=name, masks=name)
    (folder / "images" / "3.png").unlink()
    assert left_out(root, **options) == {"masks without an image": (("3-seg.png",), True)}


def test_names_with_accents_are_found_however_they_are_written(folder):
    write_png(folder / "images" / "Gro\u0308\u00dfe.png", np.zeros((4, 4), np.uint8))
    write_png(folder / "masks" / "Gro\u0308\u00dfe.png", np.zeros((4, 4), np.uint8))
    (folder / "index.csv").write_bytes("file;split\nGr\u00f6\u00dfe.png;val\n1.png;train\n".encode("utf-16"))
    assert [one.split for one in read_folder(folder)] == ["train", "val"]


@pytest.mark.parametrize("suffix", ["", "-\u00e4"])
def test_image_and_mask_are_paired_however_their_accents_are_written(folder, suffix):
    for name, form in (("images", "NFD"), ("masks", "NFC")):
        stem = unicodedata.normalize(form, "Gr\u00f6\u00dfe" + (suffix if name == "masks" else ""))
        write_png(folder / name / f"{stem}.png", np.zeros((4, 4), np.uint8))
    if suffix:
        for path in list((folder / "masks").iterdir()):
            if len(path.stem) == 1:
                path.rename(path.with_stem(path.stem + unicodedata.normalize("NFD", suffix)))
    samples = read_folder(folder, mask_suffix=suffix)
    assert len(samples) == 7
    assert samples[-1].name == unicodedata.normalize("NFD", "Gr\u00f6\u00dfe")  # as the image's file
    assert left_out(folder, mask_suffix=unicodedata.normalize("NFD", suffix)) == {}
    write_png(folder / "images" / "Gr\u00f6\u00dfe.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="names must be unique without extension"):
        read_folder(folder, mask_suffix=suffix)


def test_an_index_may_list_files_alone(folder):
    index(folder, "file\n0.png\n1.png\n3.png\n")
    assert [one.name for one in read_folder(folder)] == ["0", "1", "3"]
    assert {one.split for one in read_folder(folder)} == {"train", "val"}
    index(folder, "file,note\n0.png,fine\n1.png,dark\n")
    assert [one.name for one in read_folder(folder)] == ["0", "1"]


def nested(folder, *names):
    """Sub-folders of the images and masks, instead of them."""
    for part in ("images", "masks"):
        for number, path in enumerate(sorted((folder / part).iterdir())):
            target = folder / part / names[number % len(names)]
            target.mkdir(exist_ok=True)
            path.rename(target / path.name)


def test_splits_may_be_folders_within_those_of_images_and_masks(folder):
    nested(folder, "train", "val", "test")
    samples = read_folder(folder)
    assert [(one.name, one.split) for one in samples] == [("0", "train"), ("1", "val"), ("3", "train"), ("4", "val")]
    assert samples[0].mask == folder / "masks" / "train" / "0.png"
    assert left_out(folder) == {"folders beside those that are read": (("images/test/",), False)}
    with pytest.raises(InputError, match="is split already, by its folders train and val"):
        split_folder(folder)
    (folder / "masks" / "val" / "1.png").unlink()
    with pytest.raises(InputError, match=r"images/val/1\.png has none: add .*masks/val/1\.png"):
        read_folder(folder)


def test_sub_folders_of_another_layout_are_told_what_is_read(folder):
    nested(folder, "training", "validation")
    with pytest.raises(
        InputError, match=r"sub-folders alone \(training, validation\)\. .* or in images/train, masks/train,"
    ):
        read_folder(folder)


def test_groups_stay_together_where_an_index_has_no_split(folder):
    index(folder, "file,group\n" + "".join(f"{n}.png,slide{n % 3}\n" for n in range(6)))
    samples = read_folder(folder)
    assert {one.group for one in samples} == {"slide0", "slide1", "slide2"}
    assert len({(one.group, one.split) for one in samples}) == 3
    assert samples == read_folder(folder)


def test_a_share_is_written_down_and_read_back(folder):
    path = split_folder(folder, 0.34, seed=5)
    first = path.read_bytes()
    assert sum(one.split == "val" for one in read_folder(folder)) == 2
    with pytest.raises(InputError, match=r"index\.csv is there already\. Say overwrite=True"):
        split_folder(folder, 0.34)
    assert path.read_bytes() == first
    split_folder(folder, 0.34, seed=5, overwrite=True)
    assert path.read_bytes() == first


def test_a_share_keeps_the_other_columns_and_heeds_groups(folder):
    index(folder, "file;group;kind;note\n" + "".join(f"{n}.png;g{n // 2};k;hello\n" for n in range(6)))
    split_folder(folder, 0.34, overwrite=True)
    found = read_index(folder / "index.csv")
    assert found.columns == ("file", "split", "group", "kind", "note")
    assert {row.cells["note"] for row in found.rows} == {"hello"}
    samples = read_folder(folder)
    assert len({(one.group, one.split) for one in samples}) == 3
    assert sum(one.split == "val" for one in samples) == 2


def test_folders_of_splits_are_not_split_again(tmp_path):
    for split in ("train", "val"):
        disks(tmp_path / split, 2, side=24)
    with pytest.raises(InputError, match="is split already, by its folders train and val"):
        split_folder(tmp_path)


def test_options_of_a_folder_are_for_folders(folder):
    options = {"mask_suffix": "_m", "epochs": 3}
    assert data_folder("d", options) == DataFolder("d", mask_suffix="_m")
    assert options == {"epochs": 3}
    assert data_folder(DataFolder("d", images="i"), {"masks": "m"}) == DataFolder("d", "i", "m")
    assert data_folder([1], {}) == [1]
    with pytest.raises(InputError, match=r"^mask_suffix say how a data folder is read\. Received: list as data\.$"):
        data_folder([], {"mask_suffix": "_m"})


def test_a_limit_of_pixels_goes_along_with_the_samples(folder):
    for limit, held in ((24 * 24, True), (24 * 24 - 1, False)):
        sample = read_folder(DataFolder(folder, max_pixels=limit))[0]
        with nullcontext() if held else pytest.raises(InputError, match="raise max_pixels"):
            read_pair(sample)
    assert main(["data", str(folder), "--max-pixels", "575"]) == 2
    assert main(["data", str(folder), "--max-pixels", "576"]) == 0


def test_samples_are_checked(folder):
    samples = read_folder(folder)
    assert check_samples(tuple(samples)) == samples
    with pytest.raises(InputError, match=r"arrays are for model\.fit\. Received: ndarray"):
        check_samples((np.zeros(3), np.zeros(3)))
    with pytest.raises(InputError, match="there is none of val"):
        check_samples([Sample("a", folder, folder, "train")])
