"""Names that TensorFlow does not promise: its TFLite converter behind the front door."""

from importlib import import_module
from typing import Any

from keras_unetpp.compat.names import PrivateName

SEEN = ("2.21.0",)
_CONVERT = "tensorflow.lite.python.convert"

CALIBRATE_ONLY = PrivateName(
    "tensorflow",
    "tensorflow.lite.python.lite:TFLiteConverterBase._experimental_calibrate_only",
    "lets a file be changed between its calibration and its quantisation",
    SEEN,
)
QUANTIZE = PrivateName("tensorflow", f"{_CONVERT}:mlir_quantize", "quantises a calibrated TFLite file", SEEN)
IO_TYPE = PrivateName(
    "tensorflow", "tensorflow.lite.python.util:modify_model_io_type", "makes a TFLite file take and give bytes", SEEN
)
ERROR = PrivateName(
    "tensorflow", f"{_CONVERT}:ConverterError", "tells that TFLite's operations cannot compute a network", SEEN
)
SCHEMA = PrivateName(
    "tensorflow",
    "tensorflow.lite.python.schema_py_generated:ModelT",
    "reads and writes a TFLite file's tree",
    SEEN,
)
SAVED_MODEL = PrivateName(
    "tensorflow", "tensorflow.core.protobuf.saved_model_pb2:SavedModel", "reads a SavedModel without loading it", SEEN
)
NAMES = (CALIBRATE_ONLY, QUANTIZE, IO_TYPE, ERROR, SCHEMA, SAVED_MODEL)


def only_calibrate(converter: Any) -> None:
    """Let a `tf.lite.TFLiteConverter` stop before it quantises, as the debugger of TensorFlow's own quantiser does."""
    CALIBRATE_ONLY.put(converter, True)


def quantized(calibrated: bytes) -> bytes:
    """What a converter made that had to `only_calibrate`, quantised."""
    return bytes(QUANTIZE.get()(calibrated))


def giving_bytes(data: bytes) -> bytes:
    """A TFLite file of 8 bits, of which the outputs too are uint8; float ones until then."""
    import tensorflow as tf

    return bytes(IO_TYPE.get()(data, tf.float32, tf.uint8))


def converter_error() -> type[Exception]:
    """What a converter raises over operations that TFLite has not."""
    found: type[Exception] = ERROR.get()
    return found


def tflite_schema() -> Any:
    """The module of TFLite's tree of objects, `ModelT` and the others."""
    return import_module(SCHEMA.get().__module__)


def saved_model() -> Any:
    """An empty message of what `saved_model.pb` holds."""
    return SAVED_MODEL.get()()
