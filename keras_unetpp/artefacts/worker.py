"""Runs a SavedModel for `saved_model.open`: a script of its own process, in which there is no Keras.

Over standard input come, again and again, a line with a signature's name and a NumPy array of images; over standard
output goes the array that the signature gives. A signature of encoded images gets each image as PNG. The script is run
by its path and so imports nothing of this package.
"""

import io
import sys
from typing import Any, BinaryIO

import numpy as np

OUTPUTS = ("probabilities", "logits", "mask", "mask_bytes")
"""Which output to give of several: the first; `mask_bytes` are PNG, to be decoded."""


def send(stream: BinaryIO, array: np.ndarray) -> None:
    """Write an array to a pipe: its length in 8 bytes, then what `numpy.save` writes, which needs a seekable file."""
    data = io.BytesIO()
    np.save(data, array)
    stream.write(len(data.getbuffer()).to_bytes(8, "little") + data.getbuffer())
    stream.flush()


def receive(stream: BinaryIO) -> np.ndarray:
    """Read what `send` wrote.

    Raises:
        EOFError: the other end is gone.
    """
    data = stream.read(int.from_bytes(stream.read(8), "little"))
    if not data:
        raise EOFError("the pipe has ended")
    return np.load(io.BytesIO(data))  # type: ignore[no-any-return]


def _whole(images: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def main(path: str, threads: int) -> None:
    """Serve the SavedModel at `path`, on so many threads an operation (0: all), until standard input ends."""
    sys.modules["keras"] = None  # type: ignore[assignment]  # from here on, `import keras` fails
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    signatures = tf.saved_model.load(path).signatures
    reply = sys.stdout.buffer
    reply.write(" ".join(sorted(signatures)).encode() + b"\n")
    reply.flush()
    for line in sys.stdin.buffer:
        images: Any = receive(sys.stdin.buffer)
        run = signatures[line.decode().strip()]
        ((name, wanted),) = run.structured_input_signature[1].items()
        if wanted.dtype == tf.string:
            images = tf.stack([tf.io.encode_png(image) for image in _whole(images)])
        else:
            images = _whole(images) if wanted.dtype == tf.uint8 else images.astype(wanted.dtype.as_numpy_dtype)
        outputs = run(**{name: tf.convert_to_tensor(images)})
        result = next(outputs[key] for key in OUTPUTS if key in outputs)
        if result.dtype == tf.string:
            result = tf.stack([tf.io.decode_png(text)[..., 0] for text in result])
        send(reply, np.asarray(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
