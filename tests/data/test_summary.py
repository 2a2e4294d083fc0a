import re
import shutil
import warnings

import numpy as np
import pytest
import tifffile
from pictures import disks

from keras_unetpp.data import summary
from keras_unetpp.data.folders import read_folder
from keras_unetpp.data.images import write_png
from keras_unetpp.data.summary import describe_data
from keras_unetpp.kit.errors import InputWarning

RNG = np.random.default_rng(0)


def put(folder, masks, images=None, dtype=np.uint8):
    for number, mask in enumerate(masks):
        image = RNG.integers(0, 256, mask.shape, np.uint8) if images is None else images[number]
        for name, array in (("images", image), ("masks", mask.astype(dtype))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / name / f"{number}.tif", array)
    return folder


def scenes(count=8, side=40, objects=4, classes=3):
    """Class ids of small squares that lie apart, a part of the classes in each."""
    masks = np.zeros((count, side, side), int)
    for mask in masks:
        for corner in RNG.integers(0, side - 4, (objects, 2)):
            mask[corner[0] : corner[0] + 4, corner[1] : corner[1] + 4] = RNG.integers(1, classes + 1)
    return masks


def notes(folder, **options):
    """What is warned of, and that it is warned of once."""
    described = describe_data(folder, **options)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        described.tell()
    texts = [str(one.message) for one in seen if issubclass(one.category, InputWarning)]
    assert len(texts) == len(set(texts))
    return texts


SILENT = {
    "0 and 1": lambda masks: masks > 0,
    "0 and 255": lambda masks: 255 * (masks > 0),
    "some empty": lambda masks: (masks > 0) * (np.arange(len(masks)) % 2)[:, None, None],
    "some full": lambda masks: np.maximum(masks > 0, (np.arange(len(masks)) == 3)[:, None, None]),
    "one id an image": lambda masks: (masks > 0) * np.arange(300, 300 + len(masks))[:, None, None],
    "mostly foreground": lambda masks: masks == 0,
}


@pytest.mark.parametrize("name", SILENT)
def test_ordinary_masks_are_not_told_off(tmp_path, name):
    assert notes(put(tmp_path, SILENT[name](scenes()), dtype=np.uint16), classes=1) == []


def test_instances_and_a_real_palette_of_them_are_not_told_off(tmp_path):
    assert notes(disks(tmp_path), classes=1) == []


TOLD = {
    "trimap": (lambda masks: (masks > 0) + 1, {}, r"^All pixels of the masks are foreground: they hold the ids 1, 2"),
    "nearly a trimap": (lambda masks: np.where(np.arange(1600).reshape(40, 40) == 0, 0, (masks > 0) + 1), {},
                        r"^99\.9\d % of the pixels of the masks are foreground"),
    "ignored": (lambda masks: 255 * (masks > 0), {"ignore_index": 255},
                r"^No mask of train holds foreground: all pixels that count are 0, and \d+\.\d% of all pixels are"),
    "empty": (lambda masks: 0 * masks, {}, r"^No mask of train holds foreground: all pixels that count are 0\. "),
    "nothing counts": (lambda masks: 0 * masks + 7, {"ignore_index": 7}, r"^All pixels of all masks of train are left"),
    "classes": (lambda masks: masks, {}, r"ids 0, 1, 2, 3, which look like classes.* build with classes=4 and use"),
    "void": (lambda masks: np.where(masks == 3, 255, np.minimum(masks, 1)), {},
             r"ids 0, 1, 255, which look like classes, .*\. If 255 marks pixels to leave out, set ignore_index=255\.$"),
    "greys of classes": (lambda masks: masks * 80, {}, "ids 0, 80, 160, 240, which look like classes"),
    "sparse": (lambda masks: np.where(masks == 2, -1, masks > 0), {"classes": 1},
               r"^Masks hold -1, which counts as background\. If it marks pixels to leave out, set ignore_index=-1"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_masks_that_teach_nothing_or_something_else_are_told(tmp_path, name):
    make, options, text = TOLD[name]
    found = notes(put(tmp_path, make(scenes()), dtype=np.int16 if name == "sparse" else np.uint8), **options)
    assert any(re.search(text, one) for one in found), found


def test_smoothed_masks_are_told(tmp_path):
    masks = 255.0 * (scenes(side=64, classes=1) > 0)
    for _ in range(2):
        masks = (masks + np.roll(masks, 1, 1) + np.roll(masks, 1, 2)) / 3
    masks[:, 20:40, 20:40] = 255
    assert [one[:30] for one in notes(put(tmp_path, masks), classes=1)] == ["Masks hold greys between 0 and"]


def test_classes_are_held_against_the_network(tmp_path):
    folder = put(tmp_path, scenes())
    assert notes(folder, classes=4) == []
    assert notes(folder, classes=6)[0].startswith("Classes 4, 5 have no pixel in the masks of train, so nothing of it")
    put(tmp_path, 0 * scenes() + 2)
    assert any(one.startswith("All masks of train hold one class alone, 2.") for one in notes(folder, classes=3))


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (
            [1, 2],
            "of which 2 is none of 2 classes, 0 to 1. Training on them is an error. Ids count from 0: subtract 1, or",
        ),
        ([0, 255], "If 255 is the foreground, save it as 1; if it marks pixels to leave out, set ignore_index=255."),
        ([0, 1, 255], "Training on them is an error. If 255 marks pixels to leave out, set ignore_index=255."),
        (
            [0, 1, 5, 7],
            "of which 5, 7 are none of 2 classes, 0 to 1. Training on them is an error. Correct them, build",
        ),
        ([1, 2, 255], "If 255 marks pixels to leave out, set ignore_index=255. Ids count from 0: subtract 1, or build"),
    ],
)
def test_ids_beyond_the_classes_are_told(tmp_path, ids, text):
    scene = scenes()
    masks = np.choose(scene % len(ids), ids)
    (told,) = notes(put(tmp_path, masks), classes=2)
    assert told.startswith(f"Masks hold the ids {', '.join(map(str, ids))}, of which ")
    assert text in told


def test_images_in_another_range_are_told_once(tmp_path):
    masks = scenes() > 0
    images = RNG.random((8, 40, 40)).astype(np.float32)
    found = notes(put(tmp_path, masks, images))
    assert len(found) == 1
    assert "8 of 8 are odd" in found[0]
    assert "where 0..255 is expected" in found[0]


def test_copies_in_both_splits_are_told_blank_images_are_not(tmp_path):
    folder = disks(tmp_path, 8, side=24)
    (folder / "index.csv").write_text(
        "file,split\n" + "".join(f"{n}.png,{'val' if n < 2 else 'train'}\n" for n in range(8))
    )
    assert notes(folder) == []
    shutil.copy(folder / "images/0.png", folder / "images/7.png")
    assert notes(folder)[0].startswith("Images of val are in train as well, pixel by pixel: 1 (0 is 7).")
    for number in (0, 7):
        write_png(folder / "images" / f"{number}.png", np.zeros((24, 24, 3), np.uint8), overwrite=True)
    assert notes(folder) == []


def test_names_and_groups_in_both_splits_are_told(tmp_path):
    disks(tmp_path / "a" / "train", 3, side=24, seed=1)
    disks(tmp_path / "a" / "val", 2, side=24, seed=2)
    assert notes(tmp_path / "a")[0].startswith(
        "Names are in train and in val: 2 (0, 1). If these are images of the same"
    )
    folder = disks(tmp_path / "b", 4, side=24)
    (folder / "index.csv").write_text("file,split,group\n0.png,train,g\n1.png,val,g\n2.png,val,h\n3.png,train,\n")
    assert notes(folder)[0].startswith("Groups are in train and in val: 1 of 2 (g).")


def test_what_is_left_out_is_told(tmp_path):
    folder = disks(tmp_path, 4, side=24)
    (folder / "images" / "notes.txt").write_text("")
    assert notes(folder) == []
    shutil.copytree(folder / "masks", folder / "images" / "sub")
    found = notes(folder)
    assert found == [
        f"Not all files of {folder} are used. Left out: 1 folders with images within images (images/sub/)."
    ]
    assert "1 files of other types in images (notes.txt)" in str(describe_data(folder))


def test_the_tables(tmp_path):
    folder = disks(tmp_path, 4, side=24)
    (folder / "index.csv").write_text(
        "file,split,kind,group\n0.png,train,x,g\n1.png,train,y,g\n2.png,train,y,h\n3.png,val,x,i\n"
    )
    text = str(describe_data(folder))
    assert text.startswith(
        f"4 images with masks in {folder}\nsplit  kind  images  groups\ntrain     x       1       1\n"
    )
    assert "sizes   24 x 24\n" in text
    assert "images  uint8 x 3, values " in text
    assert "masks   uint16 (4)" in text
    assert "id  train pixels  masks  val pixels  masks\n" in text
    samples = read_folder(folder)
    assert str(describe_data(samples)).startswith("4 images with masks in samples\n")


def test_of_very_much_data_a_part_is_read(tmp_path, monkeypatch):
    folder = disks(tmp_path, 40, side=24)
    monkeypatch.setattr(summary, "MOST_PIXELS", 40 * 24 * 24 // 4)
    described = describe_data(folder)
    assert len(described.looks) in (10, 11)
    assert {one.split for one in described.looks} == {"train", "val"}
    assert "images that were read; the headers of all others were" in str(described)


def test_an_unknown_option_is_an_error(tmp_path):
    with pytest.raises(TypeError, match="unexpected keyword argument 'mask_sufix'"):
        describe_data(tmp_path, mask_sufix="_m")
