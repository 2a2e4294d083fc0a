import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from pictures import disks

# Of a job in the background the shell lets Ctrl-C be ignored, and processes that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def stages():
    """A backbone of four layers a tap, at reductions 2, 4 and 8."""
    import keras
    from keras import layers

    image = x = keras.Input((None, None, 3))
    for stage in (1, 2, 3):
        x = layers.Conv2D(4 * stage, 3, strides=2, padding="same", use_bias=False, name=f"conv{stage}")(x)
        x = layers.BatchNormalization(name=f"bn{stage}")(x)
        squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"squeeze{stage}")(x)
        x = layers.Activation("silu", name=f"out{stage}")(layers.Multiply(name=f"scale{stage}")([x, squeezed]))
    return keras.Model(image, x)


def small_stages():
    """Name of a small backbone, registered here."""
    from keras_unetpp.graph.encoders.registry import register_backbone

    return register_backbone("small_stages", stages, ["out1", "out2", "out3"], mean=(100, 110, 120), std=(50,) * 3).name


@pytest.fixture(scope="session")
def small_backbone():
    """Name of a small registered backbone."""
    return small_stages()


@pytest.fixture
def disk_folder(tmp_path):
    return disks(tmp_path / "data")
