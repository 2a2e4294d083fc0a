"""What a TFLite file says about itself, in TFLite's metadata format, so that MediaPipe opens it as an image segmenter.

The tables are those of TFLite's `metadata_schema.fbs` and MediaPipe's `image_segmenter_metadata_schema.fbs`, written
field by field: the Python classes made from them come only with packages many times larger than this one.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras

from keras_unetpp.formats.signature import Signature
from keras_unetpp.formats.tflite import flatbuffer
from keras_unetpp.formats.tflite.run import FILES
from keras_unetpp.graph.describe import describe

METADATA = b"TFLITE_METADATA"
SEGMENTER = "SEGMENTER_METADATA"
LABELS, SPEC, SIGNATURE = FILES["labels"], FILES["spec"], FILES["signature"]

Table = Mapping[int, Any]
"""A table of a schema: values by the position of their field."""


class Union(NamedTuple):
    """The value of a field that holds a table of one of several types; it takes two positions."""

    type: int
    table: Table


# Enumerators of the schemas, and members of their unions by number.
_COLOR_SPACE = {3: 1, 1: 2}
_FEATURES, _PIXELS = 1, 2
_NORMALIZATION = 1
_DESCRIPTION, _AXIS_LABELS = 1, 2
_ACTIVATION = {"sigmoid": 1, "softmax": 2}


def with_metadata(data: bytes, model: keras.Model, signature: Signature, *, labels: Sequence[str] = (),
                  author: str = "", licence: str = "") -> bytes:  # fmt: skip
    """A TFLite file with metadata: name, author, licence, what goes in and comes out, labels and Spec.

    The network normalises by itself, so pixel values are asked for as they are. The metadata names the activation that
    is left to the caller: none, unless the file gives logits. Labels and Spec lie behind the model as an archive that
    `unzip` opens. MediaPipe takes files of one level only.

    Args:
        data: the file's bytes.
        model: whose name and Spec it gets.
        signature: of the file.
        labels: names of the classes; default `foreground`, or `background`, `class 1`, ..
        author: of the model.
        licence: of the weights.
    """
    files = {LABELS: "\n".join(labels or default_labels(signature.classes)) + "\n", SIGNATURE: signature.to_json()}
    if (spec := describe(model).spec) is not None:
        files[SPEC] = spec.to_json() + "\n"
    tree = flatbuffer.read(data)
    names = {one.subgraphIndex: one.signatureKey.decode() for one in tree.signatureDefs}
    text = f"UNet++ {', '.join(signature.names)}: {signature.output} of every pixel"
    whole: dict[int, Any] = {0: str(model.name), 1: text, 3: [_graph(names[key], signature) for key in sorted(names)]}
    if author:
        whole[4] = author
    if licence:
        whole[5] = licence
    if SPEC in files:
        whole[6] = [{0: SPEC, 1: "the network as a keras_unetpp Spec", 2: _DESCRIPTION}]
    whole[7] = "1.5.0"
    flatbuffer.attach(tree, METADATA, encode(whole, b"M001"))
    return _followed_by(flatbuffer.pack(tree), files)


def default_labels(classes: int) -> tuple[str, ...]:
    """Names of classes that nobody named."""
    return ("foreground",) if classes == 1 else ("background", *(f"class {number}" for number in range(1, classes)))


def encode(table: Table, identifier: bytes) -> bytes:
    """A flatbuffer of which `table` is the root."""
    import flatbuffers

    builder = flatbuffers.Builder(256)
    builder.Finish(_put(builder, table), file_identifier=identifier)
    return bytes(builder.Output())


def _graph(name: str, signature: Signature) -> Table:
    image = {
        0: "image",
        1: "pixel values 0..255",
        3: {0: Union(_PIXELS, {0: _COLOR_SPACE.get(signature.channels, 0)})},
        4: [{0: Union(_NORMALIZATION, {0: [0.0], 1: [1.0]})}],
        5: {0: [255.0], 1: [0.0]},
    }
    result = {
        0: signature.output,
        1: f"{signature.output} of {name}",
        3: {0: Union(_FEATURES, {})},
        6: [{0: LABELS, 1: "one class a line", 2: _AXIS_LABELS}],
    }
    left = _ACTIVATION[signature.activation] if signature.output == "logits" else 0
    segmenter = {0: SEGMENTER, 1: encode({0: left, 1: "1.0.0"}, b"V001")}
    return {0: name, 2: [image], 3: [result], 9: [segmenter]}


def _followed_by(data: bytes, files: Mapping[str, str]) -> bytes:
    """`data` with a ZIP archive behind it, stored as it is and without times, so that equal models give equal files."""
    whole = io.BytesIO(data)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return whole.getvalue()


def _put(builder: Any, table: Table) -> int:
    """Write a table, whatever it refers to first; gives its position."""
    values: dict[int, Any] = {}
    for position, value in table.items():
        if isinstance(value, Union):
            values |= {position: value.type, position + 1: value.table}
        else:
            values[position] = value
    places = {position: _refer(builder, value) for position, value in values.items() if not isinstance(value, int)}
    builder.StartObject(max(values, default=-1) + 1)
    for position, value in values.items():
        if position in places:
            builder.PrependUOffsetTRelativeSlot(position, places[position], 0)
        else:
            builder.PrependUint8Slot(position, value, 0)
    return int(builder.EndObject())


def _refer(builder: Any, value: Any) -> int:
    """Write text, bytes, a table or a list of numbers or tables; gives its position."""
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        return int(builder.CreateByteVector(value))
    if isinstance(value, Mapping):
        return _put(builder, value)
    numbers = isinstance(value[0], float)
    items = value if numbers else [_put(builder, item) for item in value]
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        (builder.PrependFloat32 if numbers else builder.PrependUOffsetTRelative)(item)
    return int(builder.EndVector())
