import copy
import json
import os
import warnings

import numpy as np
import pytest

from keras_unetpp.data.convert import convert_data
from keras_unetpp.data.folders import read_folder
from keras_unetpp.data.images import read_mask, write_png
from keras_unetpp.data.summary import describe_data
from keras_unetpp.kit.errors import InputError, InputWarning

BOX = [2, 2, 10, 2, 10, 8, 2, 8]
COCO = {
    "images": [{"id": 5, "file_name": "a.png", "height": 20, "width": 30},
               {"id": 2, "file_name": "b.png", "height": 20, "width": 30},
               {"id": 9, "file_name": "c.png", "height": 20, "width": 30}],
    "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
    "annotations": [
        {"id": 2, "image_id": 5, "category_id": 3, "area": 8,
         "segmentation": [[4, 4, 6, 4, 6, 6, 4, 6], [20, 0, 22, 0, 22, 2, 20, 2]]},
        {"id": 1, "image_id": 5, "category_id": 7, "segmentation": [BOX], "area": 48.0, "bbox": [2, 2, 8, 6]},
        {"id": 3, "image_id": 2, "category_id": 7, "segmentation": {"size": [20, 30], "counts": [20, 40, 540]}},
    ],
}  # fmt: skip


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **more}


SHAPES = [
    shape("nucleus", [[1, 1], [9, 1], [9, 9], [1, 9]]),
    shape("cell", [[20, 10], [23, 10]], "circle"),
    shape("nucleus", [[4, 4], [6, 7]], "rectangle"),
]


@pytest.fixture
def source(tmp_path):
    for name in "abc":
        write_png(
            tmp_path / "in" / f"{name}.png", np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
        )
    return tmp_path / "in"


def coco(source, **parts):
    path = source / "instances.json"
    path.write_text(json.dumps({**copy.deepcopy(COCO), **parts}))
    return path


def labelme(source, name="a", shapes=(), **parts):
    values = {"imagePath": f"{name}.png", "imageHeight": 20, "imageWidth": 30, "shapes": shapes, **parts}
    (source / f"{name}.json").write_text(json.dumps(values))
    return source


def edited(**changes):
    """COCO's annotations with the first one changed."""
    return [{**COCO["annotations"][0], **changes}, *COCO["annotations"][1:]]


def test_coco(source, tmp_path):
    found = convert_data(coco(source), tmp_path / "out", "coco")
    text = (
        f"3 images with masks in {tmp_path / 'out'}: 0 background, 1 dog, 2 cat; train with classes=3, labels='classes'"
    )
    assert str(found) == text
    assert found.classes == ("background", "dog", "cat")
    assert json.loads((tmp_path / "out" / "classes.json").read_text()) == {"0": "background", "1": "dog", "2": "cat"}
    wanted = np.zeros((20, 30), np.uint8)
    wanted[2:8, 2:10] = 2
    wanted[4:6, 4:6] = wanted[0:2, 20:22] = 1  # the smaller one is on top, whatever their order
    mask = read_mask(tmp_path / "out/masks/a.png")
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, wanted)
    np.testing.assert_array_equal(read_mask(tmp_path / "out/masks/b.png")[:, 1:3], 2)
    assert (read_mask(tmp_path / "out/masks/b.png") > 0).sum() == 40
    assert not read_mask(tmp_path / "out/masks/c.png").any()
    assert (tmp_path / "out/images/a.png").read_bytes() == (source / "a.png").read_bytes()
    samples = read_folder(tmp_path / "out")
    assert [one.name for one in samples] == ["a", "b", "c"]
    assert (tmp_path / "out" / "index.csv").is_file()
    assert describe_data(tmp_path / "out", classes=3).left_out == ()


def test_coco_as_instances(source, tmp_path):
    found = convert_data(source if coco(source) else "", tmp_path / "out", "coco", masks="instances")
    mask = read_mask(tmp_path / "out/masks/a.png")
    assert mask.dtype == np.uint16
    assert (mask[3, 3], mask[4, 4], mask[0, 20]) == (1, 2, 2)
    assert str(found).endswith("; train with classes=1")


def test_images_of_coco_in_sub_folders(source, tmp_path):
    (source / "images" / "x").mkdir(parents=True)
    os.rename(source / "a.png", source / "images" / "x" / "a.png")
    images = [{**COCO["images"][0], "file_name": "x\\a.png"}, *COCO["images"][1:]]
    convert_data(coco(source, images=images), tmp_path / "out", "coco")
    assert sorted(path.name for path in (tmp_path / "out/images").iterdir()) == ["in_b.png", "in_c.png", "x_a.png"]
    assert len(read_folder(tmp_path / "out")) == 3


def test_labelme(source, tmp_path):
    labelme(source, "a", SHAPES)
    labelme(
        source,
        "b",
        [shape("_background_", [[0, 0], [5, 5]], "rectangle"), shape("cell", [[3, 3], [7, 7]], "rectangle")],
    )
    found = convert_data(source, tmp_path / "out", "labelme")
    assert found.classes == ("background", "cell", "nucleus")
    mask = read_mask(tmp_path / "out/masks/a.png")
    assert (mask == 2).sum() == 64
    assert abs((mask == 1).sum() - np.pi * 9) < 5
    assert (read_mask(tmp_path / "out/masks/b.png") == 1).sum() == 16
    convert_data(source, tmp_path / "ids", "labelme", masks="instances")
    assert np.unique(read_mask(tmp_path / "ids/masks/a.png")).tolist() == [0, 1, 2, 3]


def test_shapes_of_a_group_are_one_instance_and_ignored_ones_are_marked(source, tmp_path):
    square = [[2, 2], [4, 4]]
    parts = [shape("cell", [[x, 2], [x + 3, 5]], "rectangle", group_id=4) for x in (10, 20)]
    labelme(
        source, "a", [shape("cell", square, "rectangle"), *parts, shape("__ignore__", [[0, 10], [5, 12]], "rectangle")]
    )
    found = convert_data(source, tmp_path / "out", "labelme", masks="instances")
    mask = read_mask(tmp_path / "out/masks/a.png")
    assert np.unique(mask).tolist() == [0, 1, 2, 65535]
    assert (mask == 2).sum() == 18
    assert (found.ignore_index, found.classes) == (65535, ("background", "cell"))
    assert str(found).endswith("train with classes=1 and ignore_index=65535")
    assert convert_data(source, tmp_path / "classes", "labelme").ignore_index == 255


def test_annotations_without_a_pixel_are_told(source, tmp_path):
    labelme(source, "a", [*SHAPES, shape("spot", [[3, 3]], "point"), shape("cell", [[3, 3], [3.2, 3.2]], "rectangle")])
    with pytest.warns(InputWarning, match=r"left out: 2 \(a\.png, shape 4, a point, a\.png, shape 5\)\. Boxes, lines"):
        assert convert_data(source, tmp_path / "out", "labelme").classes == ("background", "cell", "nucleus")


def test_what_is_there_is_never_overwritten(source, tmp_path):
    coco(source)
    (tmp_path / "out").mkdir()
    convert_data(source, tmp_path / "out", "coco")  # an empty folder may be filled
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    for target in (tmp_path / "out", source / "a.png"):
        with pytest.raises(InputError, match="holds something already, and nothing is overwritten"):
            convert_data(source, target, "coco")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == before


DEEP = json.loads("[" * 900 + "]" * 900)
"""Deeper than Python prints in most places, and not too deep for its reader of JSON."""
NESTED = json.loads("[" * 20 + "]" * 20)

BROKEN = [
    ({"annotations": None}, r"instances\.json must have 'annotations' of type list\. Received: None"),
    ({"images": []}, "is about image 5, which is not in the file"),
    ({"categories": []}, "is about category 3, which is not in the file"),
    ({"annotations": edited(segmentation=[[1, 2, 3]])}, "annotation 2 must have polygons of three points or more"),
    ({"annotations": edited(segmentation=[[1, 2, 3, 4, 5, "6"]])}, "annotation 2 must have points x, y"),
    ({"annotations": edited(segmentation=[[1, 2, 3, 4, 5, float("nan")]])}, "annotation 2 must have points x, y"),
    ({"annotations": edited(segmentation=[[1, 2, 3, 4, 5, 10**400]])}, "annotation 2 must have points x, y"),
    ({"annotations": edited(segmentation="polygon")}, "annotation 2 must have polygons"),
    ({"annotations": edited(segmentation={"size": [30, 20], "counts": [600]})}, r"of size \[30, 20\], but its"),
    ({"annotations": edited(segmentation={"size": [20, 30], "counts": [7]})}, "annotation 2: the run lengths"),
    ({"annotations": edited(image_id="five")}, "annotation 2 must have 'image_id' of type int. Received: 'five'"),
    ({"annotations": [3]}, "annotation 0 must have 'image_id' of type int"),
    ({"images": [{**one, "file_name": f"../{one['file_name']}"} for one in COCO["images"]]}, "leads out of"),
    ({"images": [{**one, "file_name": "/etc/passwd"} for one in COCO["images"]]}, "leads out of"),
    ({"images": [{**one, "file_name": "gone.png"} for one in COCO["images"]]}, r"^no such image: .*in/gone\.png"),
    ({"images": [{**one, "height": 21} for one in COCO["images"]], "annotations": []},
     r"is for an image of 21 x 30 pixels \(height x width\); .*a\.png has 20 x 30"),
    ({"images": COCO["images"] + [{**COCO["images"][0], "id": 77}]}, "must be unique.* a is there 2 times"),
    ({"images": [], "annotations": []}, "describes no image"),
    *(({"images": [{**one, "file_name": name} for one in COCO["images"]]}, text) for name, text in
      (("a\0.png", "is no name of a file"), ("\ud800.png", "must have 'file_name' of type str"),
       ("a" * 300, "no such image"), ("/" * 5000 + "a" * 5000, "leads out of"))),
    ({"categories": [{**one, "name": "\ud800"} for one in COCO["categories"]]}, r"must have 'name' of type str"),
    ({"annotations": edited(id=NESTED, image_id=77)}, "annotation .* is about image 77"),
    ({"annotations": edited(segmentation={"size": NESTED, "counts": []})}, "is for an image of size .*but its"),
    ({"annotations": NESTED}, "annotation 0 must have 'image_id'"),
    ({"images": {"a": NESTED}}, "must have 'images' of type list"),
    ({"images": DEEP}, r"instances\.json is nested deeper than"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "text"), BROKEN, ids=[text for _, text in BROKEN])
def test_faults_of_coco_are_named_and_nothing_is_left_behind(source, tmp_path, parts, text):
    with pytest.raises(InputError, match=text):
        convert_data(coco(source, **parts), tmp_path / "out", "coco")
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (
            {"shapes": [shape("a", [[1, 2]])]},
            r"a\.json: shape 1, a polygon, must have three or more points\. Received: 1",
        ),
        ({"shapes": [shape("a", [[1, 2]], "rectangle")]}, "shape 1, a rectangle, must have 2 or 4 points"),
        ({"shapes": [shape("a", [[1, 2], [3]])]}, "shape 1 must have points x, y"),
        ({"shapes": [{"points": []}]}, "shape 1 must have 'label' of type str"),
        ({"shapes": {}}, r"a\.json must have 'shapes' of type list"),
        ({"imagePath": "../a.png"}, "leads out of .*Name a folder that holds images and annotations"),
        ({"imagePath": "gone.png"}, "no such file"),
        ({"shapes": [shape("a", [[1, 2]], ["polygon"])]}, r"shape 1 must have 'shape_type' of type str"),
        ({"shapes": [shape("a", [[1, 2]], {"polygon": 1})]}, "shape 1 must have 'shape_type' of type str"),
        ({"shapes": [shape("a", [[1, 2], [3, 4], [9, 9]], group_id=NESTED)]}, "shape 1 must have a number or a word"),
        ({"imageHeight": NESTED}, "is for an image of .* pixels; .* has 20 x 30"),
        ({"imageHeight": DEEP}, r"a\.json is nested deeper than"),
        ({"imagePath": "a\0.png"}, "is no name of a file"),
        ({"imagePath": "\n"}, "is no name of a file"),
        ({"imageWidth": 31}, "is for an image of 20 x 31 pixels; .* has 20 x 30"),
    ],
)
def test_faults_of_labelme_are_named(source, tmp_path, parts, text):
    with pytest.raises(InputError, match=text):
        convert_data(labelme(source, **parts), tmp_path / "out", "labelme")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"[" * 100_000, b'{"a": NaN}', b"\x89PNG"])
def test_what_is_no_json_of_the_format_is_one_line(source, tmp_path, content):
    path = source / "x.json"
    path.write_bytes(content)
    for name in ("coco", "labelme"):
        with pytest.raises(InputError, match=r"^\S*x\.json (is no JSON|must |is nested)"):
            convert_data(path, tmp_path / "out", name)


def test_no_more_instances_than_a_mask_has_ids(source, tmp_path):
    many = [shape("nucleus", [[1, 1], [1, 1], [1, 1]])] * 65_535
    with pytest.raises(InputError, match=r"a mask can hold up to 65,534 instances; .* has 65,535"):
        convert_data(labelme(source, shapes=many), tmp_path / "out", "labelme", masks="instances")


def test_settings_that_cannot_work(source, tmp_path):
    with pytest.raises(
        InputError, match=r"^format must be one of coco, labelme\. Did you mean 'coco'\? Received: 'cocoo'"
    ):
        convert_data(source, tmp_path / "out", "cocoo")
    with pytest.raises(InputError, match="masks must be one of classes, instances"):
        convert_data(source, tmp_path / "out", "coco", masks="boxes")
    with pytest.raises(InputError, match=r"must hold one \.json of COCO; it holds 0\. Name the file"):
        convert_data(source, tmp_path / "out", "coco")
    with pytest.raises(InputError, match=r"holds no \.json of LabelMe"):
        convert_data(source, tmp_path / "out", "labelme")
    with pytest.raises(InputError, match="no such file"):
        convert_data(tmp_path / "none.json", tmp_path / "out", "coco")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert convert_data(labelme(source, "a", SHAPES), tmp_path / "one", "labelme").images == 1
    assert not (tmp_path / "one" / "index.csv").exists()
