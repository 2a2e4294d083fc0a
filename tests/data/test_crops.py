import csv
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
import tifffile

from keras_unetpp.data.crops import Crops, Sample, load, read_folder
from keras_unetpp.data.images import write_png
from keras_unetpp.kit.errors import InputError

RNG = np.random.default_rng(0)
NUCLEI = (Path(__file__).parents[2] / "../shared/data/nuclei").resolve()


def put(folder: Path, name: str, height: int = 20, width: int = 24, ids: np.ndarray | None = None) -> None:
    """Write an RGB image whose red is 100 times the ids of its mask, so that the two can be compared."""
    ids = RNG.integers(0, 3, (height, width)) if ids is None else ids
    image = RNG.integers(0, 256, (*ids.shape, 3)).astype(np.uint8)
    image[..., 0] = np.minimum(ids, 2) * 100
    write_png(folder / "images" / f"{name}.png", image)
    write_png(folder / "masks" / f"{name}.png", ids.astype(np.uint16))


def write_index(folder: Path, *rows: tuple[str, ...], header: tuple[str, ...] = ("file", "split", "kind")) -> None:
    with open(folder / "index.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path):
    for name in "abcdef":
        put(tmp_path, name)
    return tmp_path


@pytest.fixture
def samples(folder):
    return read_folder(folder)


# --- folders


def test_a_hash_splits_a_plain_folder(folder):
    samples = read_folder(folder, val_fraction=0.4)
    assert [sample.name for sample in samples] == list("abcdef")
    assert samples[0] == Sample("a", folder / "images/a.png", folder / "masks/a.png", samples[0].split, "")
    assert {sample.split for sample in samples} == {"train", "val"}
    assert samples == read_folder(folder, val_fraction=0.4)


def test_the_hash_split_stays_when_files_are_added_and_varies_with_the_seed(tmp_path):
    for number in range(40):
        put(tmp_path, f"n{number}", 2, 2)
    first = {sample.name: sample.split for sample in read_folder(tmp_path, val_fraction=0.3)}
    assert 4 <= Counter(first.values())["val"] <= 20
    for number in range(40, 60):
        put(tmp_path, f"n{number}", 2, 2)
    later = {sample.name: sample.split for sample in read_folder(tmp_path, val_fraction=0.3)}
    assert {name: later[name] for name in first} == first
    other = {sample.name: sample.split for sample in read_folder(tmp_path, val_fraction=0.3, seed=1)}
    assert other != later


@pytest.mark.parametrize("val_fraction", [0.001, 0.999])
def test_neither_split_is_empty_however_few_the_files(tmp_path, val_fraction):
    put(tmp_path, "a")
    with pytest.raises(InputError, match=r"needs at least 2 images, one to train on and one to validate on; got 1$"):
        read_folder(tmp_path)
    put(tmp_path, "b")
    assert {sample.split for sample in read_folder(tmp_path, val_fraction=val_fraction)} == {"train", "val"}


@pytest.mark.parametrize("val_fraction", [0, 1, -0.2])
def test_val_fraction_is_a_proper_share(folder, val_fraction):
    with pytest.raises(InputError, match=rf"^val_fraction must lie between 0 and 1 \(exclusive\), got {val_fraction}$"):
        read_folder(folder, val_fraction=val_fraction)


def test_an_index_gives_splits_and_kinds(folder):
    write_index(folder, ("b.png", "val", "x"), ("a.png", "train", "y"))
    samples = read_folder(folder)
    assert [(s.name, s.split, s.kind) for s in samples] == [("a", "train", "y"), ("b", "val", "x")]
    write_index(folder, ("b.png", "val"), ("a.png", "train"), header=("file", "split"))
    assert [sample.kind for sample in read_folder(folder)] == ["", ""]


def test_sub_folders_give_splits(tmp_path):
    put(tmp_path / "train", "a")
    put(tmp_path / "val", "a")  # one name in both splits is no clash
    put(tmp_path / "val", "b")
    assert [(s.name, s.split) for s in read_folder(tmp_path)] == [("a", "train"), ("a", "val"), ("b", "val")]


def test_other_folder_names_and_extensions(folder):
    (folder / "images").rename(folder / "photos")
    (folder / "masks" / "a.png").unlink()
    tifffile.imwrite(folder / "masks" / "a.tif", np.zeros((20, 24), np.uint8))
    assert read_folder(folder, images="photos")[0].mask.name == "a.tif"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("z.png", "train", "")], r"index\.csv line 2: no image 'z\.png' in the image folder$"),
        ([("a.jpg", "train", "")], r"index\.csv line 2: no image 'a\.jpg' in the image folder$"),
        ([("a.png", "test", "")], r"index\.csv line 2: split must be train or val, got 'test'$"),
        ([("a.png",)], r"index\.csv line 2: split must be train or val, got None$"),
        ([("a.png", "val", ""), ("a.png", "train", "")], r"index\.csv line 3: 'a\.png' is listed twice$"),
        ([("a.png", "train", "")], r"needs samples of both splits, train and val; there is none of val$"),
        ([("a.png", "val", "")], r"needs samples of both splits, train and val; there is none of train$"),
    ],
)
def test_faults_of_an_index_are_named(folder, rows, message):
    write_index(folder, *rows)
    with pytest.raises(InputError, match=message):
        read_folder(folder)


def test_an_index_needs_its_columns(folder):
    write_index(folder, ("a.png", "train"), header=("name", "part"))
    with pytest.raises(InputError, match=r"index\.csv needs the column file, and any of split, kind and group\. "):
        read_folder(folder)


def test_an_image_without_a_mask_is_named(folder):
    (folder / "masks" / "c.png").unlink()
    with pytest.raises(InputError, match=r"^each image needs a mask; .*c\.png has none: add .*masks/c\.png, or remove"):
        read_folder(folder)


def test_a_mask_of_another_size_is_named(folder):
    write_png(folder / "masks" / "c.png", np.zeros((24, 20), np.uint8))
    message = (
        r"^an image and its mask must be of one size; .*images/c\.png is 20 x 24 \(height x width\), "
        r".*masks/c\.png 24 x 20$"
    )
    with pytest.raises(InputError, match=message):
        read_folder(folder)
    with pytest.raises(InputError, match=message):
        load(Sample("c", folder / "images/c.png", folder / "masks/c.png", "train"))


def test_files_of_one_name_are_refused(folder):
    (folder / "images" / "a.tif").write_bytes((folder / "images" / "a.png").read_bytes())
    with pytest.raises(InputError, match=r"^names must be unique without extension; got .*a\.png and a\.tif$"):
        read_folder(folder)


def test_unreadable_lossy_and_missing_files_are_named(folder):
    (folder / "images" / "d.png").write_text("no picture")
    with pytest.raises(InputError, match=r"^cannot read .*images/d\.png: cannot identify image file"):
        read_folder(folder)
    (folder / "masks" / "a.png").rename(folder / "masks" / "a.jpg")
    (folder / "images" / "d.png").write_bytes((folder / "images" / "b.png").read_bytes())
    (folder / "masks" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match=r"^a mask must be PNG or TIFF, since JPEG changes label ids; got .*a\.jpg"):
        read_folder(folder)


def test_empty_and_missing_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"^an image folder is required; .*images is missing$"):
        read_folder(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match=r"images holds no image; supported are \.png"):
        read_folder(tmp_path)


# --- loading


def test_labels(tmp_path):
    ids = np.array([[0, 1, 2], [3, 255, 0]])
    put(tmp_path, "a", ids=ids)
    sample = Sample("a", tmp_path / "images/a.png", tmp_path / "masks/a.png", "train")
    image, target = load(sample)
    assert (image.shape, image.dtype, target.shape, target.dtype) == ((2, 3, 3), np.uint8, (2, 3, 1), np.uint8)
    np.testing.assert_array_equal(target[..., 0], ids > 0)
    _, target = load(sample, ignore_index=255)
    assert target.dtype == np.int32
    np.testing.assert_array_equal(target[..., 0], [[0, 1, 1], [1, 255, 0]])
    _, target = load(sample, channels=1, labels="classes", classes=4, ignore_index=255)
    assert target.dtype == np.int32
    np.testing.assert_array_equal(target[..., 0], ids)
    with pytest.raises(
        InputError,
        match=r"^label ids must lie in 0\.\.3 for 4 class\(es\); .*masks/a\.png holds 255: raise classes, set "
        r"ignore_index, or use labels='foreground' for instance ids$",
    ):
        load(sample, labels="classes", classes=4)
    with pytest.raises(InputError, match=r"^label ids must lie in 0\.\.1 for 1 class\(es\); .*holds 2"):
        load(sample, labels="classes", classes=1, ignore_index=255)
    with pytest.raises(InputError, match=r"^labels must be one of auto, foreground, classes. Received: 'instances'.$"):
        load(sample, labels="instances")


# --- crops


def test_batches_have_their_shape_and_image_and_mask_agree(samples):
    crops = Crops(samples, (16, 8), batch_size=4)
    assert len(crops) == 2  # 6 crops, rounded up to whole batches
    for index in range(len(crops)):
        x, y = crops[index]
        assert (x.shape, x.dtype, y.shape, y.dtype) == ((4, 16, 8, 3), np.float32, (4, 16, 8, 1), np.uint8)
        np.testing.assert_array_equal(x[..., :1] > 50, y == 1)
    x, y = Crops(samples, (16, 8), batch_size=4, channels=1, labels="classes", classes=3)[0]
    assert (x.shape, y.dtype) == ((4, 16, 8, 1), np.int32)
    assert set(np.unique(y)) == {0, 1, 2}
    with pytest.raises(IndexError):
        crops[2]


@pytest.mark.parametrize("crop", [(40, 30), (20, 100), (64, 8)])
def test_images_smaller_than_the_crop_are_reflected_with_their_mask(samples, crop):
    x, y = Crops(samples, crop)[0]
    assert x.shape == (8, *crop, 3)
    np.testing.assert_array_equal(x[..., :1] > 50, y == 1)
    if crop == (40, 30):  # 20 x 24 in the middle: rows 10..29, columns 3..26
        np.testing.assert_array_equal(x[:, 9], x[:, 11])
        np.testing.assert_array_equal(x[:, :, 27], x[:, :, 25])


def test_a_batch_depends_on_seed_epoch_and_index_alone(samples):
    def shifted(x, y, seed):
        return x + np.float32(sum(seed) / 10), y

    make = lambda seed=0, **options: Crops(samples, (8, 8), 2, augment=shifted, seed=seed, **options)  # noqa: E731
    crops, again = make(), make(cache=False)
    first = [crops[index] for index in range(len(crops))]
    for index in reversed(range(len(crops))):
        for got, wanted in zip(again[index], first[index], strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert not np.array_equal(crops[0][0], crops[1][0])
    assert not np.array_equal(make(seed=1)[0][0], first[0][0])
    crops.on_epoch_end()
    crops.on_epoch_end()
    assert not np.array_equal(crops[1][0], first[1][0])
    again.set_epoch(2)
    np.testing.assert_array_equal(again[1][0], crops[1][0])
    again.set_epoch(0)
    np.testing.assert_array_equal(again[1][0], first[1][0])


def counts(crops: Crops, epochs: int = 1) -> Counter:
    """Count the crops by kind, told from the blue channel."""
    seen: Counter = Counter()
    for _ in range(epochs):
        for index in range(len(crops)):
            seen.update(crops[index][0][:, 0, 0, 2].astype(int).tolist())
        crops.on_epoch_end()
    return seen


def plain(folder: Path, name: str, blue: int, side: int = 8) -> None:
    write_png(folder / "images" / f"{name}.png", np.full((side, side, 3), blue, np.uint8))
    write_png(folder / "masks" / f"{name}.png", np.zeros((side, side), np.uint8))


@pytest.mark.parametrize(("balance", "rare"), [(0, 10), (0.5, 25), (1, 50)])
def test_balance_draws_rare_kinds_more_often(tmp_path, balance, rare):
    for number in range(10):
        plain(tmp_path, f"n{number}", blue=9 if number == 0 else 1)
    samples = [
        Sample(f"n{i}", tmp_path / f"images/n{i}.png", tmp_path / f"masks/n{i}.png", "train", "rare" if i == 0 else "")
        for i in range(10)
    ]
    crops = Crops(samples, (8, 8), batch_size=10, balance=balance, crops_per_epoch=100)
    assert counts(crops) == {9: rare, 1: 100 - rare}


def test_large_images_give_more_crops_up_to_four_times(tmp_path):
    for name, side in (("a", 8), ("b", 16), ("c", 64), ("d", 4)):
        plain(tmp_path, name, blue=side, side=side)
    samples = [Sample(n, tmp_path / f"images/{n}.png", tmp_path / f"masks/{n}.png", "train") for n in "abcd"]
    assert counts(Crops(samples, (8, 8), crops_per_epoch=80)) == {8: 10, 16: 20, 64: 40, 4: 10}


def test_every_image_of_one_size_is_seen_once_an_epoch(tmp_path):
    for number in range(12):
        plain(tmp_path, f"n{number}", blue=number)
    samples = read_folder(tmp_path)
    crops = Crops(samples, (8, 8), batch_size=4)
    for epoch in range(3):
        crops.set_epoch(epoch)
        assert counts(crops) == dict.fromkeys(range(12), 1)


def test_volumes(tmp_path):
    ids = RNG.integers(0, 2, (6, 12, 10)).astype(np.uint8)
    for name in "ab":
        for part, array in (("images", ids * 200), ("masks", ids)):
            (tmp_path / part).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / part / f"{name}.tif", array)
    samples = read_folder(tmp_path, ndim=3)
    x, y = Crops(samples, (4, 8, 16), batch_size=2, channels=1)[0]
    assert (x.shape, y.shape) == ((2, 4, 8, 16, 1), (2, 4, 8, 16, 1))
    np.testing.assert_array_equal(x > 100, y == 1)


def test_broken_files_show_when_the_crops_are_made(folder, samples):
    path = folder / "images" / "e.png"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"^cannot read .*e\.png: image file is truncated"):
        Crops(samples, (8, 8))


def test_the_cache_is_bounded(folder, samples):
    one = 20 * 24 * 4
    full, half = Crops(samples, (8, 8)), Crops(samples, (8, 8), cache_bytes=3 * one)
    wanted = full[0][0]
    np.testing.assert_array_equal(half[0][0], wanted)
    for path in (folder / "images").iterdir():
        path.unlink()
    np.testing.assert_array_equal(full[0][0], wanted)  # all in memory
    with pytest.raises(InputError, match=r"^no such file"):
        [half[index] for index in range(len(half))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": (8,)}, r"^crop must be \(height, width\) or \(depth, height, width\) in pixels, got \(8,\)$"),
        ({"crop": (8, 0)}, r"^crop must be .* got \(8, 0\)$"),
        ({"batch_size": 0}, r"^batch_size must be at least 1, got 0$"),
        ({"crops_per_epoch": 0}, r"^crops_per_epoch must be at least 1, got 0$"),
        ({"samples": []}, r"^crops need at least one sample, got none$"),
        ({"seed": -1}, r"^seed must be at least 0, got -1$"),
        ({"balance": 1.5}, r"^balance must lie in 0\.\.1, got 1\.5$"),
    ],
)
def test_arguments_are_checked(samples, options, message):
    with pytest.raises(InputError, match=message):
        Crops(**{"samples": samples, "crop": (8, 8)} | options)


def fit(crops: Crops, first: int, last: int) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    follow = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: crops.set_epoch(epoch))
    model.fit(crops, initial_epoch=first, epochs=last, shuffle=False, verbose=0, callbacks=[follow])


@pytest.mark.parametrize("workers", [0, 3])
def test_fit_sees_the_batches_of_its_epochs_whatever_the_workers(samples, workers):
    seen: dict[tuple[int, ...], float] = {}

    def noting(x, y, seed):
        seen[seed] = float(x.sum())
        return x, y

    fit(Crops(samples, (8, 8), 2, augment=noting, workers=workers, max_queue_size=2), 0, 1)
    fit(Crops(samples, (8, 8), 2, augment=noting, workers=workers, max_queue_size=2), 1, 3)  # resumed
    alone = Crops(samples, (8, 8), 2)
    for epoch in range(3):
        alone.set_epoch(epoch)
        for index in range(3):
            assert seen.pop((0, epoch, index)) == float(alone[index][0].sum())
    assert not seen


def test_plain_fit_goes_on_from_epoch_to_epoch(samples):
    crops = Crops(samples, (8, 8), 2)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    model.fit(crops, epochs=2, verbose=0)
    assert crops.epoch >= 2


def test_the_nuclei_folder_reads():
    if not NUCLEI.is_dir():
        pytest.skip(f"the nuclei data set is not at {NUCLEI}")
    samples = read_folder(NUCLEI)
    assert Counter(sample.split for sample in samples) == {"train": 398, "val": 133}
    few = [sample for sample in samples if sample.split == "val"][::12]
    x, y = Crops(few, (96, 96), batch_size=4)[0]
    assert (x.shape, y.shape) == ((4, 96, 96, 3), (4, 96, 96, 1))
    assert set(np.unique(y)) == {0, 1}
