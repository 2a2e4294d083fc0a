"""Encoded images as pixels inside the graph, exactly as `images.read_image` reads the file that they came from.

Only PNG and JPEG are taken, and of these only what comes out the same: TensorFlow decodes other formats too, but their
animations as first pictures, their palettes as grey, and none of their orientations. Core operations of TensorFlow
only, since a server has no others: what JPEG and PNG say about themselves is read byte by byte from the text.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras_unetpp.data.images.formats import FORMATS, REFUSED
from keras_unetpp.data.images.stored import LUMA
from keras_unetpp.formats.signature import Signature

JPEG, PNG, OTHER = range(3)
"""Kinds of encoded images."""

ORIENTATION = 0x0112
"""Tag of EXIF: 1 as stored; 2 to 4 mirrored or turned; 5 to 8 with height and width swapped."""
SEGMENTS = 4096
"""Parts that are looked at before the pixels of a JPEG."""

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_BARE = (0x01, *range(0xD0, 0xDA))
_SCAN = 0xDA
_SHORT, _LONG = 3, 4
_ANIMATED = b"\0\0\0\x08acTL"
_COMPRESSED = (b"zTXtXML:com.adobe.xmp\0", b"iTXtXML:com.adobe.xmp\0\1")
_OLD_EXIF = b"Raw profile type exif\0"
_OTHERS = [row for row in (*FORMATS, *REFUSED) if row.name not in ("PNG", "JPEG")]


class Header(NamedTuple):
    """What an encoded image says about itself, as int32 scalars.

    Attributes:
        kind: JPEG or PNG.
        height: as stored.
        width: as stored.
        parts: components of a JPEG, bits of a sample of a PNG.
        colour: type of a PNG: 3 palette, from 4 on with alpha.
        orientation: 1..8, by EXIF or, without, by XMP.
    """

    kind: Any
    height: Any
    width: Any
    parts: Any
    colour: Any
    orientation: Any


def decoder(signature: Signature) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Two functions of one encoded image: its (height, width), and its pixels (height, width, channels) float32 0..255.

    Both as it is meant to be seen: the orientation is applied.
    """
    import tensorflow as tf

    text = tf.TensorSpec((), tf.string)
    # Functions of their own, so that the graph holds each once.
    orientation = tf.function(_orientation, input_signature=[text, text], autograph=False)
    header = tf.function(lambda text: _header(text, orientation), input_signature=[text], autograph=False)

    def sides(text: Any) -> Any:
        own = Header(*tf.unstack(header(text), num=len(Header._fields)))
        stored = [own.height, own.width]
        return tf.where(own.orientation >= 5, stored[::-1], stored)

    def pixels(text: Any) -> Any:
        own = Header(*tf.unstack(header(text), num=len(Header._fields)))
        return _turned(_matched(*_decoded(text, own), signature.channels, own), own.orientation)

    return (tf.function(sides, input_signature=[text], autograph=False),
            tf.function(pixels, input_signature=[text], autograph=False))  # fmt: skip


def _decoded(text: Any, own: Header) -> tuple[Any, Any]:
    """Samples (height, width, any channels) float32 as stored, and the factor that brings them to 0..255."""
    import tensorflow as tf

    def jpeg() -> Any:
        told = "A JPEG of CMYK or YCCK has no defined colours. Convert it to RGB or grey and send it again."
        refused = tf.debugging.Assert(own.parts != 4, [told])
        with tf.control_dependencies([refused]):
            return tf.io.decode_jpeg(text, 0, dct_method="INTEGER_ACCURATE", fancy_upscaling=True)

    def png(dtype: Any) -> Any:
        return lambda: tf.cast(tf.io.decode_png(text, 0, dtype), tf.float32)

    deep = (own.kind == PNG) & (own.parts == 16)
    branches = [lambda: tf.cast(jpeg(), tf.float32), png(tf.uint8), png(tf.uint16)]
    samples = tf.switch_case(own.kind + tf.cast(deep, tf.int32), branches)
    return tf.ensure_shape(samples, (None, None, None)), tf.where(deep, 1 / 257, 1.0)


def _matched(samples: Any, factor: Any, channels: int, own: Header) -> Any:
    """Without alpha unless it is wanted, grey repeated, colours turned to grey by luma, 0..255."""
    import tensorflow as tf

    found = tf.shape(samples)[-1]
    # A transparent colour of a PNG without an alpha channel is none to `read_image`.
    real = (own.kind != PNG) | (own.colour >= 4)
    kept = tf.where((found % 2 == 0) & ~(real & (found == channels)), found - 1, found)
    samples = samples[..., :kept]
    fits = tf.debugging.Assert((kept == channels) | ((kept != 4) & (channels != 4)),
                               [f"The model takes images of {channels} channels. Received:", kept])  # fmt: skip
    with tf.control_dependencies([fits]):
        samples = tf.identity(samples)
    if channels == 1:
        samples = tf.cond(kept == 1, lambda: samples, lambda: _luma(samples))
    else:
        samples = tf.broadcast_to(samples, [*tf.unstack(tf.shape(samples)[:2]), channels])
    return tf.ensure_shape(samples * factor, (None, None, channels))


def _luma(samples: Any) -> Any:
    """Colours -> grey, in whole steps of the file's own depth, as `read_image` gives them."""
    import tensorflow as tf

    red, green, blue = (samples[..., index] * weight for index, weight in enumerate(LUMA))
    return tf.round(red + green + blue)[..., None]


def _turned(pixels: Any, orientation: Any) -> Any:
    """The image as it is meant to be seen."""
    import tensorflow as tf

    def turned() -> Any:
        swapped = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
        down = (orientation == 3) | (orientation == 4) | (orientation >= 7)
        across = (orientation == 2) | (orientation == 3) | (orientation == 6) | (orientation == 7)
        return tf.reverse(swapped, tf.boolean_mask([0, 1], tf.stack([down, across])))

    shape = (None, None, pixels.shape[-1])
    return tf.ensure_shape(tf.cond(orientation > 1, turned, lambda: pixels), shape)


def _header(text: Any, orientation: Callable[[Any, Any], Any]) -> Any:
    """The fields of `Header` as one int32 tensor."""
    import tensorflow as tf

    kind = tf.where(_at(text, 0, b"\xff\xd8\xff"), JPEG, tf.where(_at(text, 0, b"\x89PNG\r\n\x1a\n"), PNG, OTHER))
    readers = [lambda: _of_jpeg(text, orientation), lambda: _of_png(text, orientation), lambda: _of_other(text)]
    return tf.switch_case(kind, readers)


def _of_other(text: Any) -> Any:
    """Raises in the graph, with the name of the format."""
    import tensorflow as tf

    names = ["empty", *(row.name for row in _OTHERS), "another format, or damaged"]
    starts = [tf.reduce_any([tf.reduce_all([_at(text, at, part) for at, part in start]) for start in row.starts])
              for row in _OTHERS]  # fmt: skip
    found = tf.argmax(tf.stack([tf.strings.length(text) == 0, *starts, True]))
    told = "Encoded images must be PNG or JPEG. Save the picture as one of them. Received:"
    with tf.control_dependencies([tf.debugging.Assert(False, [told, tf.constant(names)[found]])]):
        return tf.identity(tf.zeros(len(Header._fields), tf.int32))


def _of_jpeg(text: Any, orientation: Callable[[Any, Any], Any]) -> Any:
    """What lies before the pixels: EXIF, XMP and the frame, each the first of its kind."""
    import tensorflow as tf

    def segment(at: Any, done: Any, found: Any) -> tuple[Any, ...]:
        own = _bytes(text, at, 10)
        marker, length = own[1], _number(own[2:4])
        real = (own[0] == 0xFF) & (marker != 0xFF) & (marker != 0)
        bare = tf.reduce_any(marker == _BARE)
        exif = (marker == 0xE1) & _at(text, at + 4, _EXIF)
        xmp = (marker == 0xE1) & _at(text, at + 4, _XMP)
        frame = tf.reduce_any(marker == _FRAMES)
        new = tf.stack([at + 4 + len(_EXIF), length - 2 - len(_EXIF), at + 4 + len(_XMP), length - 2 - len(_XMP),
                        _number(own[5:7]), _number(own[7:9]), own[9]])  # fmt: skip
        hits = tf.stack([exif, exif, xmp, xmp, frame, frame, frame])
        found = tf.where(hits & real & (found == 0), new, found)
        step = tf.where(real, tf.where(bare, 2, 2 + tf.maximum(length, 2)), 1)  # what is no marker is passed over
        return at + step, (real & (marker == _SCAN)) | (at + step >= tf.strings.length(text)), found

    start = (tf.constant(2), tf.constant(False), tf.zeros(7, tf.int32))
    _, done, found = tf.while_loop(lambda at, done, found: ~done, segment, start, maximum_iterations=SEGMENTS)
    known = tf.debugging.Assert(done, [f"A JPEG must come to its pixels within {SEGMENTS} segments. Save it again."])
    with tf.control_dependencies([known]):
        exif, xmp = (tf.strings.substr(text, found[i], tf.maximum(found[i + 1], 0)) for i in (0, 2))
    return tf.stack([JPEG, found[4], found[5], found[6], 0, orientation(exif, xmp)])


def _of_png(text: Any, orientation: Callable[[Any, Any], Any]) -> Any:
    """What the first chunk tells, and EXIF and XMP wherever they are, for they may lie behind the pixels."""
    import tensorflow as tf

    own = _bytes(text, 16, 10)
    head, _ = _parted(text, b"IDAT")
    before, exif = _parted(text, b"eXIf")
    old = _holds(head, _OLD_EXIF) & (exif == "")
    compressed = tf.reduce_any([_holds(head, mark) for mark in _COMPRESSED])
    checks = [
        tf.debugging.Assert(~_holds(text, _ANIMATED), ["A PNG must hold one picture. Received: an animation."]),
        tf.debugging.Assert(~(old | compressed), ["A PNG must tell its orientation in its eXIf part or not at all."
                                                  " Received: one that may tell it in compressed text or in the form"
                                                  " of old programs. Save it again, turned and without metadata."]),
    ]  # fmt: skip
    length = _number(_bytes(text, tf.maximum(tf.strings.length(before) - 4, 0), 4))
    exif = tf.strings.substr(exif, 0, tf.maximum(length, 0))
    _, xmp = _parted(head, b"XML:com.adobe.xmp")
    with tf.control_dependencies(checks):
        own = tf.identity(own)
    return tf.stack([PNG, _number(own[4:8]), _number(own[0:4]), own[8], own[9],
                     orientation(exif, xmp)])  # fmt: skip


def _orientation(exif: Any, xmp: Any) -> Any:
    """1..8 by a TIFF structure or, where that does not tell, by an XMP packet; both may be empty."""
    import tensorflow as tf

    big = _at(exif, 0, b"MM\0*")

    def numbers(part: Any) -> Any:
        return _number(tf.where(big, part, part[..., ::-1]))

    head = _bytes(exif, 0, 8)
    first = tf.where(big | _at(exif, 0, b"II*\0"), numbers(head[4:8]), -1)
    first = tf.where((first < 0) | (first > tf.strings.length(exif)), tf.strings.length(exif), first)
    size = 12 * numbers(_bytes(exif, first, 2))
    rows = tf.cast(tf.io.decode_raw(_from(exif, first + 2, size), tf.uint8), tf.int32)
    rows = tf.reshape(rows[: tf.size(rows) // 12 * 12], (-1, 12))
    kind, count = numbers(rows[:, 2:4]), numbers(rows[:, 4:8])
    value = tf.where(kind == _SHORT, numbers(rows[:, 8:10]), numbers(rows[:, 8:12]))
    is_it = (numbers(rows[:, :2]) == ORIENTATION) & (count == 1) & ((kind == _SHORT) | (kind == _LONG))
    _, after = _parted(xmp, b"tiff:Orientation")
    sign = _bytes(after, 0, 3)
    as_text = tf.where(_at(after, 0, b'="'), sign[2], tf.where(_at(after, 0, b">"), sign[1], 0)) - ord("0")
    told = tf.concat([[as_text], tf.boolean_mask(value, is_it)], 0)[-1]
    return tf.where((told >= 1) & (told <= 8), told, 1)


def _parted(text: Any, mark: bytes) -> tuple[Any, Any]:
    """What lies before and behind the first `mark`; behind is empty where there is none."""
    import tensorflow as tf

    parts = tf.raw_ops.StringSplitV2(input=[text], sep=mark, maxsplit=1).values
    parts = tf.concat([parts, ["", ""]], 0)
    return parts[0], parts[1]


def _holds(text: Any, mark: bytes) -> Any:
    import tensorflow as tf

    return tf.strings.length(_parted(text, mark)[0]) < tf.strings.length(text)


def _from(text: Any, start: Any, count: Any) -> Any:
    """So many bytes of a text, or as many as there are."""
    import tensorflow as tf

    return tf.strings.substr(text, tf.clip_by_value(start, 0, tf.strings.length(text)), count)


def _at(text: Any, start: Any, wanted: bytes) -> Any:
    """Whether these bytes stand there."""
    return _from(text, start, len(wanted)) == wanted


def _bytes(text: Any, start: Any, count: int) -> Any:
    """(count,) int32 of the bytes there, 0 beyond the end."""
    import tensorflow as tf

    part = _from(text, start, count)
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int32)


def _number(part: Any) -> Any:
    """Whole numbers of bytes along the last axis, the highest first."""
    import tensorflow as tf

    return tf.reduce_sum(part * [256**power for power in reversed(range(part.shape[-1]))], -1)
