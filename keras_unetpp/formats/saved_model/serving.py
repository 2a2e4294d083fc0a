"""What TensorFlow Serving reads beside a SavedModel: requests to warm up with, and the server's own configuration."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_unetpp.files import check_free, write_text
from keras_unetpp.formats.saved_model import GRAPH_FILE, WARMUP_FILE
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.requirements import require

WARMUP_SIDE = 256
"""Pixels of the sides that are open."""
MODELS_FILE, BATCHING_FILE = "models.config", "batching.config"
MAX_BATCH = 16
BATCH_TIMEOUT = 2000
"""Microseconds that the server waits for more requests to run together."""


def check_warmup() -> None:
    """Raise `InputError` unless warm-up requests can be written."""
    require("serving", "tensorflow_serving")


def write_warmup(folder: Path, name: str, signatures: Mapping[str, Any], channels: int) -> None:
    """Write a black image for each signature to `assets.extra`, which the server runs before it takes requests.

    So its first client does not wait for kernels and memory to be set up.

    Args:
        folder: of the SavedModel.
        name: of the model on the server.
        signatures: concrete functions by name, each of one tensor, images or texts of encoded ones.
        channels: of an encoded image.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = folder / "assets.extra" / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, function in signatures.items():
            (wanted,), _ = function.structured_input_signature
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = name, signature
            request.inputs[wanted.name].CopyFrom(tf.make_tensor_proto(_black(wanted, channels), wanted.dtype))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def check_layout(path: Path) -> None:
    """Raise `InputError` unless a path is NAME/VERSION, as the server's configuration wants it."""
    if not path.name.isdigit() or not path.parent.name:
        raise InputError(f"The server finds models as NAME/VERSION, such as nuclei/1. Received: {path}.")


def config_files(root: Path) -> list[Path]:
    """The files that `write_config` writes."""
    return [root / MODELS_FILE, root / BATCHING_FILE]


def write_config(root: str | os.PathLike[str], base: str = "/models", overwrite: bool = False) -> list[str]:
    """Write `models.config` and `batching.config` for all SavedModels NAME/VERSION in a folder; returns the names.

    Start the server with `--model_config_file=models.config --enable_batching
    --batching_parameters_file=batching.config`. Batches join images of equal size only, but encoded ones of any size.

    Args:
        root: the folder of the models.
        base: where the server sees that folder.
        overwrite: whether such files may be replaced that this package did not write.

    Raises:
        InputError: there is none; or such files are there that are not ours.
        OSError: the files cannot be written.
    """
    models = Path(root).glob(f"*/*/{GRAPH_FILE}")
    names = sorted({model.parts[-3] for model in models if model.parts[-2].isdigit()})
    if not names:
        raise InputError(f"{root} must hold SavedModels NAME/VERSION, such as nuclei/1. Received: a folder of none.")
    rows = "".join(f'  config {{ name: "{name}" base_path: "{base}/{name}" model_platform: "tensorflow" }}\n'
                   for name in names)  # fmt: skip
    models_file, batching_file = config_files(Path(root))
    check_free([models_file, batching_file], overwrite)
    write_text(models_file, f"model_config_list {{\n{rows}}}\n", overwrite)
    batching = {"max_batch_size": MAX_BATCH, "batch_timeout_micros": BATCH_TIMEOUT}
    text = "".join(f"{key} {{ value: {value} }}\n" for key, value in batching.items())
    write_text(batching_file, text, overwrite)
    return names


def _black(spec: Any, channels: int) -> Any:
    """A batch of one black image, encoded where a signature takes texts."""
    import tensorflow as tf

    if spec.dtype == tf.string:
        return [tf.io.encode_png(np.zeros((WARMUP_SIDE, WARMUP_SIDE, channels), np.uint8)).numpy()]
    sides = [side or WARMUP_SIDE for side in spec.shape[1:-1]]
    return np.zeros((1, *sides, spec.shape[-1]), spec.dtype.as_numpy_dtype)
