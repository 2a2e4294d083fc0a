"""Masks in every layout: as they are scored, and as targets of a loss."""

import warnings

import numpy as np
import pytest

from keras_unetpp.data.labels import resolved_labels
from keras_unetpp.data.masks import all_as_ids, as_ids, check_targets, check_weights, class_weight_of_pixels, doubt
from keras_unetpp.kit.errors import InputError, InputWarning

MASK = np.array([[0, 1, 0], [1, 0, 1]], np.uint8)
IDS = np.array([[0, 1, 2], [2, 0, 1]], np.uint8)


def channels(ids, classes):
    return (ids[..., None] == np.arange(classes)).astype(np.uint8)


@pytest.mark.parametrize(
    ("mask", "classes", "options", "expected"),
    [
        (MASK, 1, {}, MASK),
        (MASK[..., None], 1, {}, MASK),
        (MASK > 0, 1, {}, MASK),
        (MASK.astype("float32"), 1, {}, MASK),
        (MASK * 255, 1, {}, MASK),
        (MASK.astype(np.uint16) * 40000, 1, {}, MASK),
        (IDS, 1, {}, IDS > 0),
        (IDS, 1, {"ignore_index": 2}, IDS),
        (MASK.astype(int) - 1, 1, {"ignore_index": -1}, MASK.astype(int) - 1),
        (MASK, 1, {"labels": "classes"}, MASK),
        (IDS, 3, {}, IDS),
        (IDS[..., None].astype("float16"), 3, {}, IDS),
        (MASK > 0, 2, {}, MASK),
        (IDS + 1, 4, {}, IDS + 1),  # no background: an image may have none
        (np.where(IDS == 2, 255, IDS), 2, {"ignore_index": 255}, np.where(IDS == 2, 255, IDS)),
        (IDS, 3, {"labels": "foreground"}, IDS > 0),
        (channels(IDS, 3), 3, {}, IDS),
        (channels(IDS, 3) > 0, 3, {}, IDS),
        (channels(IDS, 3).astype("float32"), 3, {}, IDS),
        (channels(IDS, 3), 3, {"exclusive": False}, channels(IDS, 3)),
        (channels(MASK, 2) * 0 + 1, 2, {"exclusive": False}, channels(MASK, 2) * 0 + 1),
        (np.stack([IDS] * 2), 3, {"rank": 3}, np.stack([IDS] * 2)),
        (np.stack([channels(IDS, 3)] * 2), 3, {"rank": 3}, np.stack([IDS] * 2)),
    ],
)
def test_every_layout_is_recognised(mask, classes, options, expected):
    found = as_ids(mask, classes, **options)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


def test_pixels_to_leave_out_of_channels():
    mask = channels(IDS, 3)
    mask[0, 0, 1] = 255  # in one class: enough
    np.testing.assert_array_equal(as_ids(mask, 3, ignore_index=255), [[255, 1, 2], [2, 0, 1]])
    assert as_ids(mask, 3, ignore_index=255, exclusive=False)[0, 0].tolist() == [255] * 3


@pytest.mark.parametrize(
    ("mask", "classes", "options", "text"),
    [
        (MASK * 255, 2, {}, "class ids 0..1 for 2 classes. Received: 0, 255 (uint8). Pass mask / 255"),
        (MASK + 1, 2, {}, "class ids 0..1 for 2 classes. Received: 1, 2 (uint8). Ids count from 0: subtract 1."),
        (MASK * 2.0 - 1, 1, {}, "ids of foreground, 0 and above, for one class. Received: -1, 1 (float64)."),
        (MASK * 2.0 - 1, 2, {}, "class ids 0..1 for 2 classes. Received: -1, 1 (float64). Pass ignore_index=-1"),
        (MASK * 0.9, 1, {}, "Received: 0, 0.9 (float64). Round soft labels"),
        (MASK * 0.5, 2, {}, "Received: 0, 0.5 (float64). Round soft labels"),
        (MASK * np.nan, 1, {}, "Received: nan (float64). Replace values that are not finite."),
        (IDS, 2, {}, "Received: 0, 1, 2 (uint8)."),
        (IDS, 1, {"labels": "classes"}, "class ids 0..1 for one class. Received: 0, 1, 2 (uint8)."),
        (channels(MASK, 2) * 255, 2, {}, "0 and 1 for 2 classes with a channel each. Received: 0, 255 (uint8)."),
        (channels(MASK, 2) * 0, 2, {}, "exactly one of 2 classes, which exclude each other. Received: pixels of none"),
        (channels(MASK, 2) * 0 + 1, 2, {}, "exactly one of 2 classes"),
        (channels(MASK, 2), 2, {"ignore_index": 1}, "ignore_index must differ from the 0 and 1 that The mask holds"),
        (np.dstack([MASK] * 3), 1, {}, "(height, width) or (height, width, 1) for one class. Received: (2, 3, 3)."),
        (MASK[None, ..., None], 1, {}, "Received: (1, 2, 3, 1)."),
        (MASK, 3, {"rank": 3}, "(depth, height, width), (depth, height, width, 1) or (depth, height, width, 3)"),
        (MASK.astype(str), 1, {}, "must hold numbers. Received: dtype <U"),
        (MASK, 1, {"labels": "ids"}, "labels must be one of auto, foreground, classes. Received: 'ids'."),
    ],
)
def test_what_means_nothing_is_refused(mask, classes, options, text):
    with pytest.raises(InputError) as caught:
        as_ids(mask, classes, **options)
    assert text in str(caught.value)


def test_the_word_auto_follows_from_the_classes():
    assert [resolved_labels("auto", n) for n in (1, 2, 21)] == ["foreground", "classes", "classes"]
    assert resolved_labels("foreground", 3) == "foreground"


def test_masks_without_background_are_told_as_a_set():
    with pytest.warns(InputWarning, match=r"^All pixels of all 2 masks are foreground, since none is 0. Received: 1, "):
        all_as_ids([MASK + 1, MASK[:1] + 1], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        all_as_ids([MASK + 1, MASK], 1)  # one image full of foreground, with others
        all_as_ids([MASK * 0 + 1], 1)
        all_as_ids([IDS + 1], 4)
        all_as_ids([IDS, IDS.astype(int) + 300], 1)
    with pytest.raises(InputError, match=r"^Mask 1 must hold class ids"):
        all_as_ids([MASK, MASK * 255], 2)


BATCH, IDS_BATCH = MASK[None], IDS[None]
EDGE = np.arange(MASK.shape[0])[None, :, None] == np.zeros(MASK.shape[1])
"""The first row."""


@pytest.mark.parametrize(
    ("y", "classes", "options"),
    [
        (BATCH, 1, {}),
        (BATCH[..., None] > 0, 1, {}),
        (BATCH * 0.9 + 0.05, 1, {}),
        ((BATCH * 0.9995).astype("float16"), 1, {}),
        (np.where(EDGE, 255, BATCH), 1, {"ignore_index": 255}),
        (np.where(EDGE, -1, BATCH.astype(int)), 1, {"ignore_index": -1}),
        (IDS_BATCH, 3, {}),
        (IDS_BATCH.astype("float32")[..., None], 3, {}),
        (BATCH > 0, 2, {}),
        (channels(IDS_BATCH, 3), 3, {}),
        (channels(IDS_BATCH, 3) * 0.9 + 0.1 / 3, 3, {}),
        (np.where(EDGE, 77, BATCH), 1, {"weight": 1.0 - EDGE}),
    ],
)
def test_ordinary_targets_pass_in_silence(y, classes, options):
    check_targets(y, classes, **options)
    assert doubt(y, classes, **options) is None


@pytest.mark.parametrize(
    ("y", "classes", "text"),
    [
        (BATCH * 255, 1, "y must hold 0 and 1, or soft labels between, for one class. Received: 0, 255 (uint8)."),
        (BATCH + 1, 1, "Received: 1, 2 (uint8). Pass mask > 0 for ids of instances"),
        (BATCH * 2.0 - 1, 1, "Received: -1, 1 (float64)."),
        (BATCH + np.inf, 1, "Replace values that are not finite."),
        (channels(BATCH, 2) * 255, 2, "for 2 classes with a channel each. Received: 0, 255 (uint8)."),
        (BATCH * 255, 2, "y must hold class ids 0..1 for 2 classes. Received: 0, 255 (uint8)."),
        (BATCH + 1, 2, "Ids count from 0: subtract 1."),
        (BATCH * 0.5, 2, "Round soft labels"),
        (np.concatenate([BATCH] * 5 + [BATCH * 255]), 1, "Received: 0, 255 (uint8)."),  # one image among others
    ],
)
def test_targets_that_mean_nothing_are_refused(y, classes, text, monkeypatch):
    monkeypatch.setattr("keras_unetpp.data.masks._BLOCK", 7)  # in many parts, as large arrays are looked at
    with pytest.raises(InputError) as caught:
        check_targets(y, classes)
    assert text in str(caught.value)


def test_what_is_odd_though_possible():
    assert doubt(BATCH / 255, 1).startswith("The largest value of y is 0.00392157.")
    assert doubt(channels(BATCH, 2) * 0 + 1, 2).startswith("y names no class, or more than one, for 100.0%")
    assert doubt(np.maximum(channels(BATCH, 2), [1, 0]), 2, exclusive=False) is None
    left_out = channels(BATCH, 2)
    left_out[0, 0] = 255
    assert doubt(left_out, 2, ignore_index=255) is None


def test_weights():
    check_weights(np.array([0.0, 1, 2.5]))
    for weight in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match=r"^sample_weight must hold finite numbers of at least 0. Received: "):
            check_weights(np.array([1.0, weight]))
    assert class_weight_of_pixels(BATCH, {1: 3.0}, 1)[0, ..., 0].tolist() == [[1, 3, 1], [3, 1, 3]]
    assert class_weight_of_pixels(BATCH * 0.5, {1: 3.0}, 1).max() == 2  # of a soft label, what it mixes
    expected = [[1, 2, 5], [5, 1, 2]]
    for y in (IDS_BATCH, IDS_BATCH[..., None], channels(IDS_BATCH, 3)):
        assert class_weight_of_pixels(y, {1: 2.0, 2: 5.0}, 3)[0, ..., 0].tolist() == expected
