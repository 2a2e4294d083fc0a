"""Data told apart: (images, masks), or pairs of an image and its mask."""

import numpy as np
import pytest
import tensorflow as tf
from sampling import sampled

from keras_unetpp.data.pairs import images_and_masks
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.pruning import levels
from keras_unetpp.training.evaluate import evaluate

SIDES = (8, 6)
RNG = np.random.default_rng(0)


def made(count, channels, axis=True, dtype="uint8"):
    """Images, and masks that are foreground in other places."""
    images = RNG.integers(0, 256, (count, *SIDES, channels)).astype(dtype)
    masks = (RNG.random((count, *SIDES)) > 0.5).astype(np.uint8)
    return images, masks[..., None] if axis else masks


def same(found, images, masks):
    assert len(found.images) == len(images)
    assert len(found.masks) == len(masks)
    for got, wanted in zip([*found.images, *found.masks], [*images, *masks], strict=True):
        np.testing.assert_array_equal(got, wanted)


def forms(images, masks):
    """The same data in every form that says what it is."""
    pairs = [*zip(images, masks, strict=True)]
    tensors = tf.data.Dataset.from_tensor_slices((images, masks))
    return {
        "arrays": (images, masks),
        "list of arrays": [images, masks],
        "lists": ([*images], [*masks]),
        "pairs": pairs,
        "lists of two": [[*pair] for pair in pairs],
        "zip": zip(images, masks, strict=True),
        "dataset": tensors,
        "batches": tensors.batch(1),
        "one batch": tensors.batch(len(images)),
        "generator": (pair for pair in pairs),
    }


@pytest.mark.parametrize("axis", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("form", forms(*made(1, 3)))
def test_every_form_gives_the_same(form, count, axis):
    for classes in (1, 2):
        images, masks = made(count, 3, axis)
        same(images_and_masks(forms(images, masks)[form], 3, classes, 2), images, masks)


@pytest.mark.parametrize(("axis", "dtype"), [(False, "uint8"), (True, "uint16"), (True, "float32")])
@pytest.mark.parametrize("form", forms(*made(1, 1)))
def test_one_channel_is_told_by_rank_and_type(form, axis, dtype):
    images, masks = made(2, 1, axis, dtype)
    same(images_and_masks(forms(images, masks)[form], 1, 1, 2), images, masks)


def test_sizes_tell_too():
    images, masks = made(2, 1)
    pairs = [(images[0], masks[0]), (images[1][:4], masks[1][:4])]
    same(images_and_masks(pairs, 1, 1, 2), *zip(*pairs, strict=True))
    parts = ((images[0], images[1][:4]), (masks[0], masks[1][:4]))
    same(images_and_masks(parts, 1, 1, 2), *parts)


def test_what_could_be_both_is_refused_unless_its_type_tells():
    images, masks = made(2, 1)
    parts, pairs = (tuple(images), tuple(masks)), [*zip(images, masks, strict=True)]
    for data in (parts, list(parts), [list(part) for part in parts], pairs, tuple(pairs), [list(one) for one in pairs]):
        with pytest.raises(InputError, match=r"^Data can be read as \(images, masks\) and as two pairs"):
            images_and_masks(data, 1, 1, 2)
    for data in ((images, masks), ([*images], [*masks]), [images, masks], iter(pairs), np.stack([images, masks])):
        same(images_and_masks(data, 1, 1, 2), images, masks)


def test_volumes():
    images, masks = RNG.integers(0, 256, (2, 4, 8, 8, 1)).astype("float32"), np.ones((2, 4, 8, 8), "uint8")
    for data in ((images, masks), [*zip(images, masks, strict=True)]):
        same(images_and_masks(data, 1, 1, 3), images, masks)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (lambda images, masks: {"image": images, "mask": masks}, "Received: dict."),
        (lambda images, masks: 7, "Received: int."),
        (lambda images, masks: (images, masks, masks), "Received: 3 parts, not all of them pairs."),
        (lambda images, masks: [(image, masks, 1) for image in [*images] * 2], "Received: 4 parts, not all of them"),
        (lambda images, masks: tf.data.Dataset.from_tensors((images[0], masks[0], masks[0])).repeat(2), "3 and 3."),
        (lambda images, masks: (images, masks[:1]), "Received: 2 and 1."),
        (lambda images, masks: ["a.png", "b.png"], "Received: 2 parts."),
        (lambda images, masks: (images[0], masks[0]), "Received: one, and its mask. Put each in a list."),
    ],
)
def test_what_is_neither_is_named(data, text):
    with pytest.raises(InputError, match=r"^Data must ") as caught:
        images_and_masks(data(*made(2, 3)), 3, 1, 2)
    assert text in str(caught.value)


@pytest.mark.parametrize("channels", sampled([1, 3], [3]))
def test_two_pairs_are_not_scored_crosswise(channels):
    images, masks = made(2, channels, axis=False)
    model = build((None, None, channels), classes=1, width=2, depth=1, norm="none")
    own = evaluate(model, (images, masks))
    for form, data in forms(images, masks).items():
        assert evaluate(model, data) == own, form
    for form, data in forms(images, masks).items():
        assert levels(model, data, repeat=0) == levels(model, (images, masks), repeat=0), form
