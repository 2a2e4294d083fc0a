from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from keras_unetpp.data.augment import ROWS, Augment, augmentation
from keras_unetpp.kit.errors import InputError

RNG = np.random.default_rng(0)
OFF = {row.name: 0 for row in ROWS}
PLANE = [row for row in ROWS if 4 in row.ranks]
MOVING = ["flip_horizontal", "flip_vertical", "rotation", "zoom"]


def blobs(batch: int = 6, height: int = 48, width: int = 40) -> np.ndarray:
    """Return smooth random images of 3 channels, 0..255, on which interpolation changes little."""
    coarse = RNG.uniform(0, 255, (batch, 6, 5, 3)).astype(np.float32)
    smooth = keras.ops.image.resize(coarse, (height, width), interpolation="bicubic")
    return np.clip(keras.ops.convert_to_numpy(smooth), 0, 255)


IMAGES = blobs()
MASKS = (IMAGES[..., :1] > 128).astype(np.uint8)


def only(name: str) -> Augment:
    return Augment(**OFF | {name: 1})


@pytest.mark.parametrize("row", PLANE, ids=lambda row: row.name)
def test_each_change_does_something_and_keeps_the_form(row):
    images, masks = IMAGES.copy(), MASKS.copy()
    x, y = only(row.name)(images, masks, (1, 2, 3))
    assert (x.dtype, x.shape, y.dtype, y.shape) == (np.float32, IMAGES.shape, np.uint8, MASKS.shape)
    difference = np.abs(x - IMAGES).max(axis=(1, 2, 3))
    assert difference.min() > 0  # every image
    assert difference.max() > 2
    assert 0 <= x.min() <= x.max() <= 255
    assert np.array_equal(y, MASKS) == (row.name not in MOVING)
    np.testing.assert_array_equal(images, IMAGES)  # the batch given is left alone
    np.testing.assert_array_equal(masks, MASKS)


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("seed", range(3))
def test_masks_move_with_their_images(name, seed):
    x, y = only(name)(IMAGES, MASKS, (seed,))
    clear = np.abs(x[..., :1] - 128) > 12  # interpolation may tip what lies close to the threshold
    assert clear.mean() > 0.7
    assert ((x[..., :1] > 128) == y)[clear].mean() > 0.995


def test_the_default_keeps_ids_and_never_mixes_them():
    ids = RNG.choice(np.array([0, 3, 7, 255, 1000, 65535]), (8, 32, 32, 1)).astype(np.int32)
    ids[0, :2] = -1
    images = np.repeat(ids, 3, axis=-1).astype(np.float32) % 251
    for seed in range(4):
        _, y = Augment()(images, ids, (seed,))
        assert y.dtype == np.int32
        assert set(np.unique(y)) <= {-1, 0, 3, 7, 255, 1000, 65535}


def test_rotation_reflects_at_the_border_and_keeps_the_size():
    images = np.full((4, 24, 16, 1), 90, np.float32)
    x, y = only("rotation")(images, np.ones((4, 24, 16, 1), np.uint8), (0,))
    np.testing.assert_allclose(x, 90, atol=1e-3)  # no black corners
    assert y.min() == 1


def test_each_image_gets_a_change_of_its_own():
    same = np.repeat(IMAGES[:1], 4, axis=0)
    for name in ("rotation", "zoom", "hue", "gamma", "noise"):
        x, _ = only(name)(same, np.repeat(MASKS[:1], 4, axis=0), (0,))
        for one, other in ((0, 1), (1, 2), (2, 3)):
            assert np.abs(x[one] - x[other]).max() > 0.5, name


def test_a_share_is_the_share_of_images():
    images = np.full((4000, 1, 1, 1), 100, np.float32)
    x, _ = Augment(**OFF | {"invert": 0.3})(images, np.zeros((4000, 1, 1, 1), np.uint8), (0,))
    assert set(np.unique(x)) == {100, 155}
    assert 0.27 < (x == 155).mean() < 0.33


def test_the_result_depends_on_the_seed_alone():
    augment, again = Augment(), Augment()
    wanted = {index: augment(IMAGES, MASKS, (0, 1, index)) for index in range(6)}
    with ThreadPoolExecutor(3) as pool:
        got = dict(
            zip(wanted, pool.map(lambda index: again(IMAGES, MASKS, (0, 1, index)), reversed(wanted)), strict=True)
        )
    for index, pair in wanted.items():
        for one, other in zip(pair, got[5 - index], strict=True):
            np.testing.assert_array_equal(one, other)
    for seed in ((1, 1, 0), (0, 2, 0), (0, 1, 1)):
        assert not np.array_equal(augment(IMAGES, MASKS, seed)[0], wanted[0][0])


def test_turning_one_change_off_leaves_the_others_as_they_were():
    moves = {name: 1 for name in MOVING}
    both, one = Augment(**OFF | moves | {"invert": 1}), Augment(**OFF | moves)
    np.testing.assert_allclose(255 - both(IMAGES, MASKS, (5,))[0], one(IMAGES, MASKS, (5,))[0], atol=1e-3)


def test_dark_images_are_not_cut_off():
    dark = blobs() * np.float32(12 / 255)
    for seed in range(3):
        x, _ = Augment(invert=0)(dark, MASKS, (seed,))
        assert x.std(axis=(1, 2, 3)).min() > 0.5 * dark.std(axis=(1, 2, 3)).min()


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_colour_changes_apply_to_rgb_only(channels):
    images = RNG.uniform(0, 255, (4, 16, 16, channels)).astype(np.float32)
    masks = np.zeros((4, 16, 16, 1), np.uint8)
    x, _ = Augment(**OFF | {"hue": 1, "saturation": 1, "grayscale": 1})(images, masks, (0,))
    np.testing.assert_array_equal(x, images)
    assert Augment()(images, masks, (0,))[0].shape == images.shape


def test_grey_pictures_stay_grey():
    grey = np.repeat(IMAGES[..., :1], 3, axis=-1)
    x, _ = Augment(noise=0)(grey, MASKS, (0,))
    np.testing.assert_allclose(x, np.repeat(x[..., :1], 3, axis=-1), atol=0.01)


def test_volumes_are_flipped_along_each_axis():
    images = RNG.uniform(0, 255, (3, 4, 6, 5, 1)).astype(np.float32)
    masks = (images > 128).astype(np.uint8)
    for axis, name in ((1, "flip_depth"), (2, "flip_vertical"), (3, "flip_horizontal")):
        x, y = only(name)(images, masks, (0,))
        np.testing.assert_array_equal(x, np.flip(images, axis))
        np.testing.assert_array_equal(y, np.flip(masks, axis))
    x, y = Augment(gamma=0, invert=0, noise=0)(images, masks, (1,))
    np.testing.assert_array_equal(x > 128, y == 1)
    x, _ = Augment(**{row.name: 1 for row in ROWS})(images, masks, (1,))
    assert 0 <= x.min() <= x.max() <= 255


def test_flip_depth_leaves_plane_images_alone():
    np.testing.assert_array_equal(only("flip_depth")(IMAGES, MASKS, (0,))[0], IMAGES)


def test_choices():
    assert augmentation("none") is None
    assert augmentation(None) is None
    assert augmentation("default").options == {row.name: row.probability for row in ROWS}
    assert augmentation({"rotation": 0, "invert": 0.5}).options["invert"] == 0.5
    with pytest.raises(InputError, match=r"^augmentation must be default, none, or shares by name .*; got 'strong'$"):
        augmentation("strong")
    names = ", ".join(row.name for row in ROWS)
    with pytest.raises(InputError, match=rf"^augmentations are {names}; got 'shear'$"):
        Augment(shear=0.5)
    with pytest.raises(InputError, match=r"^rotation must be a share of the images, 0\.\.1, got 90$"):
        Augment(rotation=90)
