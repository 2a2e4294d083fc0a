"""Images given to `fit` and its like: their type tells their unit, odd values are told, what cannot be is refused."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from sampling import sampled

import keras_unetpp as kup
from keras_unetpp.kit.errors import InputError, InputWarning

RNG = np.random.default_rng(0)
ROWS, COLUMNS = np.mgrid[:16, :16]
Y = np.stack([(ROWS - 8) ** 2 + (COLUMNS - k) ** 2 < 20 for k in range(4, 12)])[..., None].astype("uint8")
X = np.clip(np.where(Y, 180, 50) + RNG.normal(0, 8, Y.shape), 0, 255).astype("uint8")


class Batches(keras.utils.PyDataset):
    """Four batches of two."""

    def __init__(self, x, y=Y, **options):
        super().__init__(**options)
        self.x, self.y = x, y

    def __len__(self):
        return 4

    def __getitem__(self, index):
        part = slice(2 * index, 2 * index + 2)
        return self.x[part] if self.y is None else (self.x[part], self.y[part])


def generated(x, y=Y):
    while True:
        for index in range(4):
            batch = Batches(x, y)[index]
            yield batch if isinstance(batch, tuple) else (batch,)


def dataset(x, y=Y):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    return tf.data.Dataset.from_tensor_slices(x if y is None else (x, y)).batch(2)


GIVEN = {
    "arrays": lambda x: {"x": x, "y": Y, "batch_size": 2},
    "tensors": lambda x: {"x": keras.ops.convert_to_tensor(x), "y": Y, "batch_size": 2},
    "a list of one": lambda x: {"x": [x], "y": [Y], "batch_size": 2},
    "PyDataset": lambda x: {"x": Batches(x)},
    "workers": lambda x: {"x": Batches(x, workers=2)},
    "generator": lambda x: {"x": generated(x), "steps_per_epoch": 4},
    "tf.data": lambda x: {"x": dataset(x)},
}


def compiled(**fields):
    keras.utils.set_random_seed(0)
    model = kup.build((None, None, 1), **{"width": 2, "depth": 1, "norm": "none", **fields})
    model.compile(keras.optimizers.SGD(0.1), kup.losses.BCEDice(), run_eagerly=True)
    return model


def told(action):
    """What comes of it, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        value = action()
    return value, [str(one.message) for one in seen if issubclass(one.category, InputWarning)]


def losses(model, given, **options):
    return model.fit(**given, verbose=0, shuffle=False, **options).history["loss"]


@pytest.fixture(scope="module")
def expected():
    return losses(compiled(), GIVEN["arrays"](X)), losses(compiled(), GIVEN["arrays"](Y * np.uint8(255)))


@pytest.mark.parametrize("kind", GIVEN)
def test_the_type_tells_the_unit_whatever_gives_images(kind, expected):
    for pixels, loss in ((X, expected[0]), (X.astype("uint16") * 257, expected[0]), (Y > 0, expected[1])):
        found, texts = told(lambda pixels=pixels: losses(compiled(), GIVEN[kind](pixels)))
        assert found == pytest.approx(loss, rel=1e-4)
        assert texts == []


def test_so_it_does_for_those_held_out_and_at_all_other_doors():
    model, deep = compiled(), X.astype("uint16") * 257
    for held_out in ((deep, Y), [deep, Y, np.ones(8)], Batches(deep), dataset(deep)):
        history = model.fit(X, Y, validation_data=held_out, verbose=0, epochs=2).history
        assert history["val_loss"][-1] == pytest.approx(model.evaluate(X, Y, verbose=0, return_dict=True)["loss"], 1e-5)
    wanted = model.predict(X, verbose=0)["L1"]
    for given in (deep, Batches(deep), Batches(deep, None), generated(deep, None), dataset(deep), dataset(deep, None)):
        found = model.predict(given, verbose=0, **({} if hasattr(given, "__len__") else {"steps": 4}))
        assert np.allclose(found["L1"], wanted, atol=1e-5)
    assert np.allclose(model.predict_on_batch(deep)["L1"], wanted, atol=1e-5)
    assert model.test_on_batch(deep, Y) == pytest.approx(model.test_on_batch(X, Y), rel=1e-5)
    assert np.allclose(kup.segment(model, deep[0]), wanted[0], atol=1e-5)
    start = model.get_weights()
    steps = []
    for pixels in (deep, X):
        model.set_weights(start)
        model.train_on_batch(pixels, Y)
        steps.append(model.get_weights())
    assert all(np.allclose(*pair, atol=1e-5) for pair in zip(*steps, strict=True))


def test_a_compiled_step_takes_them_too():
    model = compiled()
    found = []
    for pixels in (X, X.astype("uint16") * 257):
        model.compile("sgd", kup.losses.BCEDice())
        found.append(model.evaluate(dataset(pixels), verbose=0, return_dict=True)["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_plain_call_is_the_network_itself():
    model = compiled()
    assert not np.allclose(model(X.astype("uint16") * 257)["L1"], model(X)["L1"], atol=1e-3)


ODD = {"0..1": X / np.float32(255), "-1..1": X / np.float32(127.5) - 1, "12 bits": X.astype("uint16") * 16}


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("name", ODD)
def test_an_odd_range_is_told_once_a_call(kind, name):
    _, texts = told(lambda: losses(compiled(), GIVEN[kind](ODD[name]), epochs=3, validation_data=(ODD[name], Y)))
    assert len(texts) == 1
    at_once = kind in ("arrays", "tensors", "a list of one")
    assert texts[0].startswith(f"Images to {'train' if at_once else 'validate'} on: ")
    assert " pixels of " in texts[0]
    assert " is expected. Nothing is rescaled by its values" in texts[0]
    _, texts = told(lambda: losses(compiled(), GIVEN[kind](ODD[name]), epochs=3))
    assert [text.split(": ")[0] for text in texts] == ["Images to train on"]


def test_the_warning_names_the_line_of_the_caller():
    for act in (lambda: compiled().fit(ODD["0..1"], Y, verbose=0), lambda: compiled().predict(ODD["0..1"], verbose=0)):
        with pytest.warns(InputWarning) as seen:
            act()
        assert [one.filename for one in seen if one.category is InputWarning] == [__file__]


@pytest.mark.parametrize("call", [
    lambda model, x: model.evaluate(x, Y, verbose=0), lambda model, x: model.evaluate(Batches(x), verbose=0),
    lambda model, x: model.predict(x, verbose=0), lambda model, x: model.predict(dataset(x, None), verbose=0),
    lambda model, x: model.train_on_batch(x, Y), lambda model, x: model.test_on_batch(x, Y),
    lambda model, x: model.predict_on_batch(x)])  # fmt: skip
def test_and_at_the_other_doors(call):
    model = compiled()
    (_, odd), (_, right) = (told(lambda x=x: call(model, x)) for x in (ODD["0..1"], X))
    assert (len(odd), right) == (1, [])


def test_what_the_network_takes_is_not_told():
    for fields in ({"normalization": "standardize"}, {"normalization": "none"}):
        assert told(lambda fields=fields: losses(compiled(**fields), GIVEN["arrays"](ODD["0..1"])))[1] == []


DARK = np.minimum(X // 40, 1 + (X > 170))


@pytest.mark.parametrize("x", [
    X.astype("float32"), X.astype("float16"), X.astype("int32"), DARK, DARK.astype("float32"),
    X // 16 * np.float32(0.9),
    np.concatenate([np.minimum(X[:6], 1), X[6:]]), X * 0, X.astype("uint16") * 257])  # fmt: skip
def test_ordinary_images_are_not_told_off(x):
    for kind in ("arrays", "PyDataset", "tf.data"):
        assert told(lambda kind=kind: losses(compiled(), GIVEN[kind](x)))[1] == []


LATE = X.astype("float32")
LATE[5, 3, 3] = np.nan  # in the third batch


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused(kind, value):
    x = np.where(np.isnan(LATE), np.float32(value), LATE)
    model = compiled()
    with pytest.raises(InputError, match=r"^Images to train on must not hold NaN or infinite pixels"):
        losses(model, GIVEN[kind](x), epochs=2)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_so_are_those_held_out_and_those_to_predict():
    with pytest.raises(InputError, match=r"^Images to validate on must not hold NaN"):
        compiled().fit(X, Y, validation_data=Batches(LATE), verbose=0)
    for call in (lambda model: model.predict(LATE), lambda model: model.predict(Batches(LATE, None), verbose=0),
                 lambda model: model.predict_on_batch(LATE)):  # fmt: skip
        with pytest.raises(InputError, match=r"^Images to predict must not hold NaN"):
            call(compiled())


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (X + 1j, "x must hold real numbers. Received: dtype complex128."),
        (X.astype(str), "x must hold real numbers. Received: dtype str"),
        (X[0], "x must be (batch, height, width, 1). Received: (16, 16, 1). "),
        (np.concatenate([X] * 3, -1), "x must be (batch, height, width, 1). Received: (8, 16, 16, 3). Add, drop"),
        (X[:0], "x must be (batch, height, width, 1). Received: (0, 16, 16, 1)."),
        (X[:, :15], "Every side must be a multiple of 2"),
        (X.tolist(), "x must be one array or tensor, (batch, height, width, 1). Received: a list of 8. Make it one by"),
        (list(X), "x must be one array or tensor, (batch, height, width, 1). Received: a list of 8. Make it one by"),
        ({"a": X, "b": X}, "x must be one array. Received: a dict of a, b."),
        (X[:4], "x and y must be of the same length. Received: 4 images and y of 8."),
    ],
    ids=["complex", "text", "one image", "channels", "none", "sides", "numbers", "a list", "a dict", "fewer"],
)
def test_images_that_do_not_fit(x, text):
    with pytest.raises(InputError) as caught:
        compiled().fit(x, Y, verbose=0)
    assert str(caught.value).startswith(text)


def test_images_of_another_size_than_the_models():
    model = kup.build((16, 32, 1), width=2, depth=1)
    model.compile("sgd", kup.losses.BCEDice())
    with pytest.raises(
        InputError, match=r"^x must be \(batch, 16, 32, 1\)\. Received: \(8, 16, 16, 1\)\. Resize or crop"
    ):
        model.fit(X, Y)
    with pytest.raises(InputError, match=r"^x must be \(batch, 16, 32, 1\)"):
        model.fit(dataset(X))


def test_one_channel_may_lack_its_axis(expected):
    assert losses(compiled(), GIVEN["arrays"](X[..., 0])) == pytest.approx(expected[0], rel=1e-5)


TWO = {"y": "y must be one array for all heads, or one for each of L1, L2"}


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (None, "{}, since the model is compiled with a loss. Received: no y."),
        ([Y], "{}. Received: a list of 1. np.stack(y) makes"),
        ((Y, Y, Y), "{}. Received: a tuple of 3. np.stack(y) makes"),
        (Y.tolist(), "{}. Received: a list of 8. np.stack(y) makes"),
        ({"L1": Y}, "{}, by name. Received: a dict of L1."),
        ({"L1": Y, "L2": Y, "L3": Y}, "{}, by name. Received: a dict of L1, L2, L3."),
        ([Y, Y[:4]], "x and y must be of the same length. Received: 8 images and y of 4."),
    ],
    ids=["none", "one of two", "three", "numbers", "one name", "a name too many", "fewer"],
)
def test_targets_of_other_heads(y, text):
    for call in (lambda model: model.fit(X, y, verbose=0), lambda model: model.evaluate(X, y, verbose=0),
                 lambda model: model.train_on_batch(X, y)):  # fmt: skip
        with pytest.raises(InputError) as caught:
            call(compiled(depth=2))
        assert str(caught.value).startswith(text.format(TWO["y"]))


def test_targets_of_each_head_as_a_list():
    model = compiled(depth=2)
    by_name = model.evaluate(X, {"L1": Y, "L2": 1 - Y}, verbose=0, return_dict=True)
    assert model.evaluate(X, [Y, 1 - Y], verbose=0, return_dict=True) == pytest.approx(by_name)
    with pytest.raises(InputError, match=r"^y must be one array\. Received: a dict of L1\."):
        compiled(deep_supervision=False).fit(X, {"L1": Y})


@pytest.mark.parametrize("given", [Batches(X, None), dataset(X, None), generated(X, None)],
                         ids=["PyDataset", "tf.data", "generator"])  # fmt: skip
def test_data_without_targets(given):
    with pytest.raises(InputError, match=r"^y must be one array for all heads, .* Received: no y\."):
        compiled().fit(given, steps_per_epoch=4, verbose=0)


@pytest.mark.parametrize("weight", [{2: 1.0}, {"background": 1}, {0.5: 1}, {None: 1}, {1: "much"}, [1, 3]])
def test_class_weight_of_no_class(weight):
    with pytest.raises(InputError, match=r"^class_weight must map ids 0\.\.1 to finite weights"):
        compiled().fit(X, Y, class_weight=weight)


def test_validation_data_of_other_parts():
    with pytest.raises(InputError, match=r"^validation_data must be \(x, y\) or .* Received: 1 parts"):
        compiled().fit(X, Y, validation_data=(X,))


def test_a_data_set_that_was_surveyed_is_not_judged():
    given = Batches(ODD["0..1"])
    given.surveyed = True
    assert told(lambda: losses(compiled(), {"x": given}))[1] == []
    given.x = LATE
    with pytest.raises(InputError, match="NaN"):
        losses(compiled(), {"x": given})


QUIET = """
import sys
sys.path[:0] = [sys.argv[1], f"{sys.argv[1]}/.."]
import test_inputs as own
bad = own.Y.copy()
bad[5] *= 255
model = own.compiled()
model.compile("sgd", own.kup.losses.BCEDice())
given = {"PyDataset": lambda: own.Batches(own.X, bad), "workers": lambda: own.Batches(own.X, bad, workers=2),
         "generator": lambda: own.generated(own.X, bad), "tf.data": lambda: own.dataset(own.X, bad)}[sys.argv[2]]()
print("starts", file=sys.stderr, flush=True)
try:
    model.fit(given, epochs=3, steps_per_epoch=4, verbose=0)
except own.InputError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", sampled(["PyDataset", "workers", "generator", "tf.data"], ["tf.data"]))
def test_a_refused_batch_prints_no_traceback_of_tensorflow(kind):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    run = subprocess.run([sys.executable, "-c", QUIET, str(Path(__file__).parent), kind], env=environment,
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert run.stdout.startswith("y must hold 0 and 1, or soft labels between"), run.stderr[-2000:]
    printed = run.stderr.split("starts\n")[1]
    assert "Traceback" not in printed
    assert len(printed.splitlines()) < 8
