import numpy as np
import pytest
from PIL import Image

from keras_unetpp.exporting.samples import batches, fitted, labelled_folder, pairs
from keras_unetpp.formats.signature import Signature
from keras_unetpp.kit.errors import InputError


@pytest.mark.parametrize("sides", [(None, None), (9, None), (4, 12), (9, 12), (20, 3)])
def test_cropped_around_the_centre_padded_by_reflection_and_open_sides_as_they_are(sides):
    pixels = np.arange(7 * 9 * 2).reshape(7, 9, 2)
    got = fitted(pixels, sides)
    assert got.shape == (sides[0] or 7, sides[1] or 9, 2)
    expected = pixels
    for axis, side in enumerate(sides):
        more = 0 if side is None else side - pixels.shape[axis]
        around = [(0, 0)] * 3
        around[axis] = (max(more, 0) // 2, max(more, 0) - max(more, 0) // 2)
        expected = np.pad(expected, around, mode="reflect")
        if more < 0:
            expected = np.take(expected, range(-more // 2, -more // 2 + side), axis)
    np.testing.assert_array_equal(got, expected)


def test_images_and_masks_of_any_size():
    own = Signature((1,), (None, None), "float32", "probabilities", 1, 1, "sigmoid")
    (batch,), odd = batches([np.full((5, 6), 257, np.uint16)], own, "Images")
    assert not odd
    assert (batch.shape, batch.dtype, batch.max()) == ((1, 5, 6, 1), np.float32, 1.0)
    ((image, mask),) = pairs(([np.zeros((5, 6))], [np.ones((5, 6, 1), np.uint8)]), own)
    assert (image.shape, mask.shape) == ((1, 5, 6, 1), (1, 5, 6))
    two = [(np.full((5, 6, 1), value, np.float32), np.full((5, 6), value, np.uint8)) for value in (0, 9)]
    for image, mask in pairs(two, own):
        assert (image.max(), mask.max()) in ((0, 0), (9, 1))


def test_the_val_images_of_a_folder(disk_folder):
    rows = ["file,split", *(f"{number}.png,{'val' if number > 3 else 'train'}" for number in range(6))]
    (disk_folder / "index.csv").write_text("\n".join(rows))
    images, masks = labelled_folder(disk_folder)
    assert [path.name for path in images] == ["4.png", "5.png"]
    ids = np.asarray(Image.open(disk_folder / "masks" / "4.png"))
    assert ids.max() > 1
    np.testing.assert_array_equal(masks[0], ids > 0)
    np.testing.assert_array_equal(labelled_folder(disk_folder, classes=4)[1][0], ids)
    with pytest.raises(InputError, match="nowhere"):
        labelled_folder("nowhere")
