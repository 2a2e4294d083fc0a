"""Operations: values that state every fact, each held against the Keras layer that its maker makes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from counting import macs_of

from keras_unetpp.graph.layers import MAKERS, make
from keras_unetpp.spec import Spec
from keras_unetpp.spec.activations import LeakyRelu, PRelu, Slope
from keras_unetpp.spec.facts import (
    FACTS,
    OPERATIONS,
    Kernel,
    OneLayer,
    Operation,
    Pointwise,
    SameWidth,
    Site,
    Weightless,
)
from keras_unetpp.spec.forms import constant, value
from keras_unetpp.spec.ops import Add, AveragePool, Bilinear, Concat, Conv, Dropout, MaxPool, Nearest, TransposedConv
from keras_unetpp.spec.plan import variables
from keras_unetpp.spec.resampling import L2Pool, PixelShuffle, Unpool
from keras_unetpp.spec.rows import Row

THICK = (1, 2, 2)
"""Strides of volumes whose slices are thick."""

CASES = [
    *(Conv(kernel) for kernel in (1, 2, 3, 5)),
    *(Conv(kernel, strides=(2, 2)) for kernel in (1, 2, 3, 4, 5)),
    *(Conv(3, dilation=2), Conv(3, dilation=4), Conv(2, dilation=3), Conv(3, groups=2), Conv(3, (2, 2), groups=4)),
    *(Conv(3, depthwise=True), Conv(3, (2, 2), depthwise=True, bias=False), Conv(3, bias=False)),
    *(Conv(3, strides=THICK), Conv(2, strides=(2, 2, 2)), Conv(3, dilation=2, strides=(1, 1, 1))),
    *(Conv((1, 3, 3), dilation=2), Conv((3, 1, 5)), Conv((5, 1), (2, 2)), Conv((1, 3), depthwise=True, dilation=3)),
    *(TransposedConv((1, 2, 2), THICK), TransposedConv((1, 4, 3), THICK), TransposedConv((3, 1), (2, 1))),
    *(TransposedConv(kernel, (2, 2)) for kernel in (2, 3, 4, 5)),
    *(TransposedConv(4, (4, 4)), TransposedConv(3, THICK), TransposedConv(3, (1, 1))),
    *(MaxPool((2, 2)), MaxPool((4, 2)), MaxPool(THICK)),
    *(AveragePool((2, 2)), AveragePool(THICK), PRelu(), LeakyRelu(), Slope()),
    *(Nearest((2, 2)), Nearest((4, 4)), Nearest(THICK)),
    *(Bilinear((2, 2)), Bilinear((4, 4))),
    *(PixelShuffle((2, 2)), PixelShuffle(THICK), Conv(3, alike=2), L2Pool((2, 2)), L2Pool(THICK)),
]


def placed(operation):
    """The operation in a row of its own after an input of 4 channels and of 8 pixels a side; its site."""
    kernel = getattr(operation, "kernel", ())
    rank = len(getattr(operation, "strides", ())) or (len(kernel) if isinstance(kernel, tuple) else 0) or 2
    spec = Spec((*(None,) * rank, 3), classes=4, depth=1, filters=(4, 6))
    variable = constant(1, variables(spec))
    four = tuple(4 * one for one in variable)
    (channels,) = operation.channels([four], None if isinstance(operation, SameWidth) else four)
    halvings = operation.halvings([(3,) * rank])
    row = Row("one", operation.kind, ("image",), channels, halvings, "x_0_0", operation)
    cells = [2 ** sum(9 - times for times in each) for each in ((3,) * rank, halvings)]
    return spec, row, Site(rank, [four], [channels], *cells)


def seen(layer, rank, axis, cells, draws=24):
    """First and last pixel along an axis with a gradient in each output cell, over some random images."""
    shape = [8] * rank
    shape[axis] = 64
    image = keras.Input((*shape, 4))
    model = keras.Model(image, layer(image))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    x = tf.constant(np.repeat(rng.uniform(0, 1, (draws, *shape, 4)), len(cells), axis=0), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        line = tf.experimental.numpy.moveaxis(model(x), axis + 1, -1)
        line = tf.reduce_sum(line, tuple(range(1, rank + 1)))
        total = tf.reduce_sum(tf.gather(line, np.tile(cells, draws), batch_dims=1))
    gradient = np.moveaxis(tape.gradient(total, x).numpy(), axis + 1, -1).reshape(draws, len(cells), -1, 64)
    reached = [np.flatnonzero(one) for one in gradient.any((0, 2))]
    return [(int(one.min()), int(one.max())) for one in reached]


def counted(terms, spec):
    v = variables(spec)
    return sum(factor * v[i] * v[j] for i, j, factor in terms)


@pytest.mark.parametrize("operation", CASES, ids=str)
def test_what_it_states_is_what_its_layer_does(operation):
    spec, row, site = placed(operation)
    image = keras.Input((*(2**6 for _ in range(site.rank)), 4))
    layer = make(row, spec)
    model = keras.Model(image, layer(image))
    sides = [2 ** (9 - times) for times in row.halvings]
    assert layer.output.shape[1:] == (*sides, value(row.channels, variables(spec)))
    assert counted(operation.trained(site), spec) == sum(int(np.prod(one.shape)) for one in layer.trainable_weights)
    assert counted(operation.frozen(site), spec) == 0
    assert counted(operation.macs(site), spec) == macs_of(layer)
    assert value(operation.made(site), variables(spec)) == np.prod(layer.output.shape[1:])
    assert model.count_params() == counted(operation.trained(site), spec)


@pytest.mark.parametrize("operation", CASES, ids=str)
def test_its_reach_is_what_the_gradient_reaches(operation):
    spec, row, site = placed(operation)
    for axis in range(site.rank):
        middle = 32 * 2 ** (3 - row.halvings[axis]) if row.halvings[axis] < 3 else 32 // 2 ** (row.halvings[axis] - 3)
        cells = range(middle - 4, middle + 4)
        wanted = [operation.reach(cell, axis) for cell in cells]
        assert seen(make(row, spec), site.rank, axis, cells) == wanted


def test_each_is_a_value():
    assert Conv(3) == Conv(3)
    assert Conv(3) != Conv(1)
    assert len({Conv(3), Conv(3), Concat(), Concat(), Add(), Dropout()}) == 4
    with pytest.raises(AttributeError):
        Conv(3).kernel = 5


def test_there_is_a_maker_for_each():
    assert {one.__name__ for one in OPERATIONS} - {one.__name__ for one in MAKERS} == {"Backbone"}


def test_one_that_leaves_a_fact_out_cannot_be_defined():
    with pytest.raises(TypeError, match=r"^An operation states all its facts\. Blur lacks: kind, channels, halvings,"):
        type("Blur", (Operation,), {})
    rest = (SameWidth, Pointwise, Weightless, OneLayer, Operation)
    with pytest.raises(TypeError, match=r"^An operation states all its facts\. Blur lacks: kind\.$"):
        type("Blur", rest, {})
    with pytest.raises(
        TypeError, match=r"^An operation states all its facts\. Blur lacks: kind, channels, .*, weights\.$"
    ):
        type("Blur", (Kernel, OneLayer, Operation), {})
    assert "Blur" not in {one.__name__ for one in OPERATIONS}
    assert len(FACTS) == 17


def test_widths_and_resolutions_that_do_not_fit_are_refused():
    one, other = (1, 0, 0, 1, 0), (1, 0, 0, 0, 1)
    with pytest.raises(ValueError, match=r"^Add\(\) reads tensors of different width"):
        Add().channels([one, other], None)
    with pytest.raises(ValueError, match=r"^Unpool\(.*\) reads values and places of different width"):
        Unpool((2, 2)).channels([one, other], None)
    with pytest.raises(ValueError, match=r"^Unpool\(.*\) reads values and places of different resolution"):
        Unpool((2, 2)).halvings([(1, 1), (0, 1)])
    with pytest.raises(ValueError, match=r"^Concat\(\) reads rows of different resolution"):
        Concat().halvings([(0, 0), (0, 1)])
    with pytest.raises(ValueError, match=r"^Add\(\) reads rows of different sides: \[0, 1\]\.$"):
        Add().fixed([0, 1])
    for operation in (Conv(3, (2, 2)), TransposedConv(2, (2, 2)), MaxPool((2, 2)), Bilinear((2, 2))):
        with pytest.raises(ValueError, match=r" reads rows of fixed sides: \[1\]\.$"):
            operation.fixed([1])
    with pytest.raises(ValueError, match=r"needs a width\.$"):
        Conv(3).channels([one], None)
