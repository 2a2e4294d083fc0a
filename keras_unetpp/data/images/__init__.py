"""Image and mask files as arrays: pixel values 0..255 with channels last, label ids as integers."""

from keras_unetpp.data.images.formats import EXTENSIONS, JPEG, MAX_PIXELS, FilePath, check_limit, list_images
from keras_unetpp.data.images.reading import check_mask, image_size, read_image, read_mask, read_samples
from keras_unetpp.data.images.writing import overlay, write_png

__all__ = [
    "EXTENSIONS",
    "JPEG",
    "MAX_PIXELS",
    "FilePath",
    "check_limit",
    "check_mask",
    "image_size",
    "list_images",
    "overlay",
    "read_image",
    "read_mask",
    "read_samples",
    "write_png",
]
