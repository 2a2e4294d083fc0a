import keras
import numpy as np
import pytest
from keras import layers

from keras_unetpp.exporting.attempts import written
from keras_unetpp.formats import FORMATS
from keras_unetpp.formats.functions import functions, signature
from keras_unetpp.formats.parts import parts
from keras_unetpp.formats.rebuild import network
from keras_unetpp.formats.tflite import write as tflite
from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import describe, select
from keras_unetpp.graph.resampling import L2Pool
from keras_unetpp.kit.errors import InputError
from keras_unetpp.prediction.predictor import segment


def backbone(tops=("relu6", "hard_silu", "gelu")):
    """A network by hand, of the layers that encoders of `keras.applications` have, with two heads up-sampled by 2."""
    keras.utils.set_random_seed(2)
    image = keras.Input((None, None, 3), name="image")
    x = layers.Rescaling([1 / 127.5] * 3, offset=-1.0, name="normalization")(image)

    def bn(x, name, **options):
        return layers.BatchNormalization(name=name, **options)(x)

    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="x_0_0_stem_pad")(x)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="x_0_0_stem_conv")(x)
    top = x = layers.Activation(tops[0], name="x_0_0_stem_act")(bn(x, "x_0_0_stem_bn", scale=False))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False, name="x_1_0_block3b_dwconv")(x)
    x = layers.Activation(tops[1], name="x_1_0_block3b_act")(bn(x, "x_1_0_block3b_bn", center=False))
    squeezed = layers.Reshape((1, 1, 8), name="x_1_0_se_reshape")(
        layers.GlobalAveragePooling2D(name="x_1_0_se_pool")(x)
    )
    squeezed = layers.Conv2D(8, 1, activation="sigmoid", name="x_1_0_se_conv")(squeezed)
    x = layers.Multiply(name="x_1_0_se_excite")([x, squeezed])
    x = layers.SeparableConv2D(12, 3, padding="same", use_bias=False, name="x_1_0_block3b_expand_conv")(x)
    x = layers.Activation(tops[2], name="x_1_0_block3b_expand_act")(bn(x, "x_1_0_block3b_expand_bn"))
    x = layers.LayerNormalization(name="x_1_0_norm")(x)
    x = layers.Conv2DTranspose(8, 4, strides=2, padding="same", use_bias=False, name="x_0_1_up")(x)
    x = layers.Concatenate(name="x_0_1_concat")([bn(x, "x_0_1_up_bn"), top])
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, groups=2, name="x_0_1_conv1")(x)
    outputs = {}
    for name, tensor in (("L1", top), ("L2", bn(x, "x_0_1_norm1"))):
        head = layers.Conv2D(1, 1, name=f"{name}_conv")(tensor)
        head = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_up")(head)
        outputs[name] = layers.Activation("sigmoid", dtype="float32", name=name)(head)
    model = keras.Model(image, outputs, name="by_hand")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return model


def norms(model):
    return [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def outputs(model, image):
    return {name: np.asarray(value) for name, value in model(image, training=False).items()}


@pytest.fixture(scope="module")
def model():
    return backbone()


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).integers(0, 256, (1, 24, 32, 3)).astype(np.float32)


def test_batch_norm_is_folded_into_every_kind_of_convolution(model, image):
    folded = network(model, [1, 2])
    assert len(norms(model)) == 5
    assert norms(folded) == []
    for name, expected in outputs(model, image).items():
        np.testing.assert_allclose(outputs(folded, image)[name], expected, atol=1e-5)


def test_batch_norm_is_folded_after_other_models_were_made_of_the_layers_too():
    model = build((None, None, 3), width=4, depth=1, normalization="standardize")
    segment(model, np.zeros((8, 8, 3)))
    assert norms(model) != []
    assert norms(network(model, [1])) == []


def test_batch_norm_stays_where_folding_would_change_something(image):
    source = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="x_0_0_active")(source)
    x = layers.BatchNormalization(name="x_0_0_after_relu")(x)
    read_twice = layers.Conv2D(4, 1, name="x_0_0_read_twice")(x)
    x = layers.Add(name="x_0_0_add")([layers.BatchNormalization(name="x_0_0_beside")(read_twice), read_twice])
    shared = layers.Conv2D(4, 1, name="x_0_0_shared")
    x = layers.BatchNormalization(name="x_0_0_after_shared")(shared(shared(x)))
    both = layers.Conv2D(4, 1, name="x_0_0_also_given")(keras.ops.leaky_relu(x, negative_slope=0.1))
    last = layers.BatchNormalization(name="x_0_0_last")(both)
    head = layers.Activation("sigmoid", name="L1")(layers.Conv2D(1, 1, name="L1_conv")(last))
    other = layers.Activation("sigmoid", name="L2")(layers.Conv2D(1, 1, name="L2_conv")(both))
    model = keras.Model(source, {"L1": head, "L2": other})
    folded = network(model, [1, 2])
    for name, expected in outputs(model, image).items():
        np.testing.assert_allclose(outputs(folded, image)[name], expected, atol=1e-6)
    assert sorted(norms(folded)) == [*("x_0_0_after_relu", "x_0_0_after_shared", "x_0_0_beside", "x_0_0_last")]


@pytest.mark.parametrize("strides", [(2, 2, 2), (1, 2, 2), (2, 1, 4)])
def test_volumes_are_pooled_as_images(strides):
    source = keras.Input((None, None, None, 3), name="image")
    pools = [layers.MaxPooling3D(strides, name="x_0_0_max"), layers.AveragePooling3D(strides, name="x_0_0_average"),
             L2Pool(strides, name="x_0_0_l2")]  # fmt: skip
    heads = {f"L{at}": layers.Activation("tanh", name=f"L{at}")(one(source)) for at, one in enumerate(pools, 1)}
    model = keras.Model(source, heads)
    volume = np.random.default_rng(0).normal(size=(2, 4, 6, 9, 3)).astype("float32")
    rebuilt = network(model, [1, 2, 3])
    assert not any(isinstance(layer, (layers.MaxPooling3D, layers.AveragePooling3D)) for layer in rebuilt.layers)
    assert describe(rebuilt).divisors == describe(model).divisors == strides
    for name, expected in outputs(model, volume).items():
        np.testing.assert_allclose(outputs(rebuilt, volume)[name], expected, atol=1e-6)


def test_such_a_network_as_functions_and_in_parts(model, image):
    own = signature(model)
    assert own.divisor == 4  # both strides count, whatever the names say
    expected = outputs(model, image)
    for shared in (False, True):
        levels = functions(model, own, shared=shared)
        for name in ("L1", "L2"):
            np.testing.assert_allclose(levels[name](image)["probabilities"], expected[name], atol=1e-5)


def test_parts_are_nodes_and_heads_and_levels_share_them(image):
    whole = network(build((None, None, 3), width=4, depth=2, normalization="none"), [1, 2])
    runs = parts(whole, whole.inputs[0])
    for name, expected in outputs(whole, image).items():
        np.testing.assert_allclose(runs[name](image), expected, atol=1e-6)

    def called(name):
        import tensorflow as tf

        graph = tf.function(runs[name]).get_concrete_function(tf.TensorSpec((None, None, None, 3))).graph
        calls = [one for one in graph.get_operations() if one.type in ("PartitionedCall", "StatefulPartitionedCall")]
        return {one.get_attr("f").name for one in calls}

    assert (len(called("L1")), len(called("L2"))) == (4, 7)  # 3 nodes and a head, 6 nodes and a head
    assert len(called("L1") & called("L2")) == 3


def test_parts_whose_names_are_tangled_become_one(image):
    source = keras.Input((None, None, 3), name="image")
    first = layers.Conv2D(4, 1, name="x_0_0_a")(source)
    second = layers.Conv2D(4, 1, name="x_1_0_b")(first)
    last = layers.Conv2D(1, 1, name="x_0_0_c")(second)
    model = keras.Model(source, {"L1": layers.Activation("sigmoid", name="L1")(last)})
    np.testing.assert_allclose(parts(model, model.inputs[0])["L1"](image), outputs(model, image)["L1"], atol=1e-6)


def test_an_error_names_layers_of_any_name(tmp_path):
    source = keras.Input((None, None, None, 1), name="image")
    x = layers.MaxPooling3D(3, 2, padding="same", name="x_1_0_block3b_pool_2")(source)
    x = layers.UpSampling3D(2, name="x_0_1_block3b_up")(x)
    model = keras.Model(source, layers.Activation("sigmoid", name="L1")(layers.Conv3D(1, 1, name="L1_conv")(x)))
    with pytest.raises(
        InputError, match=r"cannot compute MaxPool3D, which layer x_1_0_block3b_pool_2 needs\. Export a"
    ):
        tflite.write(model, tmp_path / "m.tflite", signature(model, size=4))


def test_eight_bits_of_such_a_network(model, image, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed: pip install 'keras-unetpp[mobile]'")
    from keras_unetpp.formats.tflite import run as runtime

    options = {"quantize": "int8_float_io", "calibration": image}
    written(FORMATS["tflite"], model, tmp_path / "m.tflite", signature(model, size=(24, 32)), options)
    run = runtime.open(tmp_path / "m.tflite").functions
    assert np.abs(run["L2"](image) - outputs(model, image)["L2"]).max() < 0.1
    assert select(model, 1).output_shape == (None, None, None, 1)
