"""Each name that another package does not promise is there, does what it is for, and is told when it is gone."""

import configparser
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from keras_unetpp.compat import keras as of_keras
from keras_unetpp.compat import keras_tuner as of_tuner
from keras_unetpp.compat import tensorflow as of_tensorflow
from keras_unetpp.compat import tf2onnx as of_tf2onnx
from keras_unetpp.compat import tifffile as of_tifffile
from keras_unetpp.compat.names import PrivateName
from keras_unetpp.kit.errors import InputError

ROOT = Path(__file__).parents[2]
ROOMS = (of_keras, of_tensorflow, of_tuner, of_tifffile, of_tf2onnx)
NAMES = [name for room in ROOMS for name in room.NAMES]
INSTALLED = {"tensorflow": "tensorflow-cpu"}


def oracle(kind, tmp_path):
    import keras_tuner

    made = getattr(keras_tuner.oracles, kind)(keras_tuner.Objective("val_iou", "max"), max_trials=3, seed=1)
    made._set_project_dir(str(tmp_path), "own")
    return made


def converter():
    import tensorflow as tf

    function = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec((1, 2), tf.float32))
    return tf.lite.TFLiteConverter.from_concrete_functions([function])


OWNERS = {
    of_tensorflow.CALIBRATE_ONLY: lambda folder: converter(),
    of_tuner.DIRECTORY: lambda folder: oracle("RandomSearchOracle", folder),
    of_tuner.FOLDER: lambda folder: oracle("RandomSearchOracle", folder),
    of_tuner.RETRY: lambda folder: oracle("RandomSearchOracle", folder),
    of_tuner.ORDER: lambda folder: oracle("GridSearchOracle", folder),
    of_tuner.NEXT: lambda folder: oracle("GridSearchOracle", folder),
}
"""Names that only instances have."""


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.path)
def test_each_name_is_there(name, tmp_path):
    try:
        if name is of_tifffile.MULTIFILE:
            of_tifffile.check_arguments()
        elif name in OWNERS:
            name.check(OWNERS[name](tmp_path))
        else:
            name.get()
    except InputError as error:
        pytest.fail(str(error))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.path)
def test_the_version_here_is_one_that_was_seen(name):
    assert version(INSTALLED.get(name.package, name.package)) in name.seen


def test_the_versions_that_may_be_installed_end_after_those_that_were_seen():
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    extras = options["options.extras_require"]
    lines = "\n".join([options["options"]["install_requires"], extras["search"], extras["onnx"]]).split("\n")
    for name in NAMES:
        (line,) = {line for line in lines if re.match(rf"{INSTALLED.get(name.package, name.package)}>=", line)}
        low, high = re.match(r"[\w-]+>=([\d.]+),<([\d.]+)", line).groups()
        for seen in name.seen:
            assert numbers(low) <= numbers(seen) < numbers(high), f"{name.path} was seen in {seen}, not in {line}"


def numbers(text):
    return [int(part) for part in text.split(".")]


def test_what_is_gone_is_told_in_a_line():
    gone = PrivateName("keras", "keras.layers:Layer._gone", "does something", ("3.0.0", "3.1.0"))
    text = (
        rf"^keras {re.escape(version('keras'))} has no keras\.layers\.Layer\._gone, which does something\. It was there"
        r" in keras 3\.0\.0, 3\.1\.0: install that version\.$"
    )
    for use in (gone.get, lambda: gone.of(object()), lambda: gone.put(object(), 1)):
        with pytest.raises(InputError, match=text):
            use()
    lost = PrivateName("tensorflow", "tensorflow.nothing:gone", "does something", ("1.0",))
    with pytest.raises(InputError, match=r"^tensorflow \d+\.\d+.* has no tensorflow\.nothing\.gone, which"):
        lost.get()
    nobody = PrivateName("no-such-package", "no_such_package:gone", "does something", ("1.0",))
    with pytest.raises(InputError, match=r"^no-such-package as it is installed has no no_such_package\.gone, which"):
        nobody.get()


def test_a_graph_is_copied_by_other_layers():
    import keras

    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Dense(2, name="a")(image))
    other = keras.Input((4,))
    made = []

    def layer_of(layer):
        made.append(keras.layers.Dense(2, name=f"copy_of_{layer.name}"))
        return made[-1]

    output = of_keras.copied(model, other, layer_of)
    assert [layer.name for layer in keras.Model(other, output).layers][1:] == ["copy_of_a"]
    assert len(made) == 1


def test_statistics_of_a_batch_are_taken_by_our_function():
    import keras

    layer, asked = keras.layers.BatchNormalization(), []

    def moments(inputs, mask):
        asked.append(tuple(inputs.shape))
        return keras.ops.zeros(3), keras.ops.ones(3)

    of_keras.take_moments_by(layer, moments)
    x = np.full((2, 3), 5, np.float32)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x, training=True)), x, rtol=1e-2)
    assert asked == [(2, 3)]


def test_up_sampling_resizes_by_our_function_and_then_by_its_own():
    import keras

    layer = keras.layers.UpSampling2D(interpolation="bilinear")
    x = np.ones((1, 2, 2, 1), np.float32)
    with of_keras.resizing_by([layer], lambda x, *_, **__: x * 3):
        assert float(keras.ops.max(layer(x))) == 3
    assert layer(x).shape == (1, 4, 4, 1)


def test_applications_fetch_by_our_function(tmp_path):
    import keras

    asked, own = [], import_module("keras.src.utils.file_utils").get_file

    def fetch(fname, origin, **options):
        asked.append(fname)
        raise OSError("no network")

    with of_keras.fetching_by(fetch) as plain, pytest.raises(OSError, match="no network"):
        keras.applications.MobileNetV3Small(input_shape=(32, 32, 3), include_top=False)
    assert plain is own is import_module("keras.src.utils.file_utils").get_file
    assert len(asked) == 1


def test_files_are_read_from_a_server_by_our_function(tmp_path):
    import keras

    def retrieve(url, filename, *options):
        Path(filename).write_text(url)

    with of_keras.retrieving_by(retrieve):
        got = keras.utils.get_file("a.txt", "https://nowhere.invalid/a.txt", cache_dir=str(tmp_path))
    assert Path(got).read_text() == "https://nowhere.invalid/a.txt"


def test_the_cache_is_where_keras_looks(monkeypatch, tmp_path):
    import keras

    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with of_keras.retrieving_by(lambda url, filename, *options: Path(filename).write_text(url)):
        got = keras.utils.get_file("a.txt", "https://nowhere.invalid/a.txt")
    assert of_keras.keras_home() == str(tmp_path)
    assert tmp_path in Path(got).parents


def test_a_file_is_changed_between_calibration_and_quantisation():
    import tensorflow as tf

    weights = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 2, 4)), tf.float32)
    function = tf.function(lambda image: {"out": tf.nn.conv2d(image, weights, 1, "SAME")})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 8, 8, 2), tf.float32, name="image"))
    own = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    own.optimizations = [tf.lite.Optimize.DEFAULT]
    own.representative_dataset = lambda: iter([[np.ones((1, 8, 8, 2), np.float32)]])
    of_tensorflow.only_calibrate(own)
    calibrated = own.convert()

    def kinds(data):
        model = of_tensorflow.tflite_schema().ModelT.InitFromPackedBuf(data, 0)
        graph = model.subgraphs[0]
        return {tensor.type for tensor in graph.tensors}, graph.tensors[graph.outputs[0]].type

    types = of_tensorflow.tflite_schema().TensorType
    quantised = of_tensorflow.quantized(calibrated)
    assert types.INT8 not in kinds(calibrated)[0]
    assert types.INT8 in kinds(quantised)[0]
    assert kinds(quantised)[1] == types.FLOAT32
    assert kinds(of_tensorflow.giving_bytes(quantised))[1] == types.UINT8


def test_a_tiff_file_reads_no_other_and_compares_no_pages(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8))
    with open(tmp_path / "a.tif", "rb") as file, of_tifffile.opened(file) as tiff:
        assert of_tifffile.GENERIC.of(tiff)() is None
        assert len(tiff.pages) == 1


def test_a_condition_that_is_sent_is_not_printed(capsys):
    from keras_tuner.engine.hyperparameters import Choice

    parent = {"class_name": "Parent", "config": {"name": "depth", "values": ["1"]}}
    choice = Choice.from_config({"name": "up", "values": ["a"], "conditions": [parent]})
    with of_tuner.without_prints():
        choice.to_proto()
        print("others speak")
    assert capsys.readouterr().out == "others speak\n"
    choice.to_proto()
    assert capsys.readouterr().out == "1\n"


def test_tf2onnx_leaves_a_reshape_that_is_an_output_its_rank():
    # As it leaves a transpose of one channel; names decide whether it is an output when it is made simpler.
    from onnx import TensorProto, helper
    from onnxruntime import InferenceSession
    from tf2onnx.graph import GraphUtil
    from tf2onnx.optimizer import IdentityOptimizer, optimize_graph

    constants = {"order": [0, 2, 3], "one": [1]}
    nodes = [
        helper.make_node("Shape", ["image"], ["sides"]),
        helper.make_node("Gather", ["sides", "order"], ["open"]),
        helper.make_node("Concat", ["open", "one"], ["shape"], axis=0),
        helper.make_node("Reshape", ["image", "shape"], ["L1"]),
    ]
    graph = helper.make_graph(
        nodes,
        "channels last",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [helper.make_tensor_value_info("L1", TensorProto.FLOAT, ["n", "h", "w", 1])],
        [helper.make_tensor(name, TensorProto.INT64, [len(values)], values) for name, values in constants.items()],
    )
    whole = GraphUtil.create_graph_from_onnx_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    )
    whole = IdentityOptimizer().optimize(whole, 0)
    assert whole.get_node_by_output("L1").type == "Reshape"
    proto = optimize_graph(whole, optimizers=of_tf2onnx.optimizers()).make_model("test")
    session = InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"image": np.zeros((2, 1, 5, 3), np.float32)})
    assert got.shape == (2, 5, 3, 1)
