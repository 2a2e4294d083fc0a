"""The reference network's outputs, loss and gradients, as PyTorch computed them, must come out here."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from make_golden_values import golden_values, sampled

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import select
from keras_unetpp.interop import LAYOUTS, load_torch
from keras_unetpp.kit.errors import InputError
from keras_unetpp.training.losses import CrossEntropy
from keras_unetpp.weights import state, variables

ROOT = Path(__file__).resolve().parents[1]
LEVELS = ("L1", "L2", "L3", "L4")
CLOSE = 1e-5
GRADIENTS = (
    *("stage_0.Conv_forward.0.weight", "stage_4.Conv_forward.3.weight", "upsample_3_1.weight"),
    *("CONV0_4.Conv_forward.5.weight", "final_super_0_4.2.weight"),
)


@pytest.fixture(scope="module")
def values():
    return golden_values()


@pytest.fixture(scope="module")
def torch_state(values):
    return {name.removeprefix("state/"): array for name, array in values.items() if name.startswith("state/")}


@pytest.fixture(scope="module", params=["float32", "float64"])
def model(request, torch_state):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    made = small()
    keras.config.set_dtype_policy(before)
    load_torch(made, torch_state)
    return made


@pytest.fixture(scope="module")
def step(model, values):
    """One forward and backward pass in training mode; the weights are put back."""
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are taken with TensorFlow's tape")
    before = state(model)
    loss = CrossEntropy(from_logits=True, multi_label=True)
    with tf.GradientTape() as tape:
        outputs = model(ours(values["input"]), training=True)
        total = sum(loss(ours(values["target"]), output) for output in outputs.values())
    gradients = tape.gradient(total, [weight.value for weight in model.trainable_weights])
    after = state(model)
    for name, weight in variables(model).items():
        weight.assign(before[name])
    by_weight = {id(weight): np.asarray(one) for weight, one in zip(model.trainable_weights, gradients, strict=True)}
    return SimpleNamespace(
        outputs={head: np.asarray(output) for head, output in outputs.items()},
        loss=float(total),
        gradients={their(name): by_weight.get(id(weight)) for name, weight in variables(model).items()},
        before=before,
        after=after,
    )


def small(**fields):
    return build(preset="reference", **{"input_shape": (None, None, 3), "width": 4, "classes": 2, **fields})


def their(name):
    return LAYOUTS["reference"].tensor(name)


def ours(array):
    """(batch, channels, height, width) -> (batch, height, width, channels)."""
    return np.moveaxis(array, 1, -1)


def assert_unchanged(model, before):
    for name, array in state(model).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_the_small_copy_has_as_many_parameters(model):
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 186_452


@pytest.mark.parametrize("head", LEVELS)
def test_logits_in_inference_mode(model, values, head):
    found = np.asarray(model(ours(values["input"]), training=False)[head])
    assert np.abs(found - ours(values[f"eval_logits/{head}"])).max() < CLOSE


@pytest.mark.parametrize("head", LEVELS)
def test_logits_in_training_mode(step, values, head):
    assert np.abs(step.outputs[head] - ours(values[f"train_logits/{head}"])).max() < CLOSE


def test_loss_in_training_mode(step, values):
    assert step.loss == pytest.approx(float(values["train_loss"]), abs=1e-6)
    assert step.loss == pytest.approx(2.86944, abs=5e-6)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(model, step, values, name):
    found = np.transpose(step.gradients[name], (3, 2, 0, 1))
    largest, norm = float(values[f"largest/{name}"]), float(values[f"norm/{name}"])
    # A kernel's gradient is a sum over all pixels; in float32 its order, which is another here, shows.
    order = 1 if model.get_layer("x_0_0_conv1").compute_dtype == "float64" else 2
    limit = order * CLOSE * largest
    assert np.abs(sampled(found) - values[f"grad/{name}"]).max() < limit
    assert abs(np.abs(found).max() - largest) < limit
    assert abs(np.linalg.norm(found.astype("float64")) - norm) < limit * np.sqrt(found.size)


def test_all_given_gradients_are_tested(values):
    assert {f"grad/{name}" for name in GRADIENTS} == {name for name in values if name.startswith("grad/")}


def test_every_gradient_and_moving_average_as_in_torch(step, values, torch_state, reference):
    torch, network = reference(filters=(4, 8, 16, 32, 64), classes=2)
    network.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in torch_state.items()})
    logits = network.train()(torch.from_numpy(values["input"]))
    target = torch.from_numpy(values["target"])
    sum(torch.nn.functional.binary_cross_entropy_with_logits(one, target) for one in logits.values()).backward()
    theirs = {name: parameter.grad.numpy() for name, parameter in network.named_parameters()}
    moved = {name: buffer.numpy() for name, buffer in network.named_buffers()}
    for name in step.before:
        if (gradient := theirs.get(their(name))) is not None:
            gradient = gradient if gradient.ndim < 2 else np.transpose(gradient, (2, 3, 1, 0))
            assert np.abs(step.gradients[their(name)] - gradient).max() < CLOSE, name
        elif name.endswith("/moving_mean"):
            np.testing.assert_allclose(step.after[name], moved[their(name)], rtol=1e-5, atol=1e-6, err_msg=name)
        else:
            # PyTorch moves its average towards the unbiased variance, Keras towards the biased one.
            row = 0 if name.startswith("L") else int(name.split("_")[1])
            count = 2 * (64 // 2**row) ** 2
            unbiased = step.before[name] * 0.9 + (step.after[name] - step.before[name] * 0.9) * count / (count - 1)
            np.testing.assert_allclose(unbiased, moved[their(name)], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.fixture
def reference(monkeypatch):
    """PyTorch, and what makes its reference network."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.syspath_prepend(ROOT / "tools")
    from torch_reference import Reference

    return lambda **options: (torch, Reference(**options))


@pytest.mark.parametrize(
    ("filters", "channels", "classes"), [((3, 5), 1, 1), ((2, 3, 4, 5), 4, 3), ((2, 2, 2, 2, 2, 2), 3, 1)]
)
def test_any_depth_width_and_channels(reference, filters, channels, classes):
    torch, network = reference(filters=filters, channels=channels, classes=classes)
    torch.manual_seed(0)
    x = torch.rand(2, channels, 64, 32)
    network.train()(x)
    depth = len(filters) - 1
    made = small(input_shape=(None, None, channels), classes=classes, depth=depth, filters=filters, width=None)
    load_torch(made, network.state_dict())
    with torch.no_grad():
        expected = network.eval()(x)
    found = made(ours(x.numpy()), training=False)
    assert list(found) == list(expected) == [f"L{level}" for level in range(1, depth + 1)]
    for head in found:
        assert np.abs(np.asarray(found[head]) - ours(expected[head].numpy())).max() < CLOSE


def test_full_size_has_the_reference_parameters(reference):
    torch, _ = reference(filters=(1, 1))
    with torch.device("meta"):
        _, network = reference()
    assert sum(parameter.numel() for parameter in network.parameters()) == 47_190_724


def test_pixels_of_0_to_255_with_rescale_give_the_same(model, values, torch_state):
    scaled = small(normalization="rescale", head_activation="sigmoid")
    load_torch(scaled, torch_state)
    found = np.asarray(scaled(255 * ours(values["input"]))["L4"])
    expected = 1 / (1 + np.exp(-ours(values["eval_logits/L4"])))
    assert np.abs(found - expected).max() < CLOSE


def test_tensors_are_detached_moved_and_widened_without_importing_torch(torch_state):
    class Tensor:
        def __init__(self, array, done=()):
            self.array, self.done = array, done

        def __getattr__(self, name):
            if name not in ("detach", "cpu", "float"):
                raise AttributeError(name)
            return lambda: Tensor(self.array, (*self.done, name))

        def numpy(self):
            assert self.done == ("detach", "cpu", "float")
            return self.array

    made = small()
    load_torch(made, {name: Tensor(array) for name, array in torch_state.items()})
    expected = np.transpose(torch_state["upsample_0_4.weight"], (2, 3, 1, 0))
    np.testing.assert_array_equal(state(made)["x_0_4_up/kernel"], expected)


def test_missing_extra_and_misshapen_in_one_message_in_their_names(torch_state):
    made = small()
    before = state(made)
    wrong = dict(torch_state)
    del wrong["CONV0_4.Conv_forward.3.running_var"], wrong["stage_0.Conv_forward.0.bias"]
    wrong["module.extra.weight"] = np.ones(1)
    wrong["upsample_0_4.weight"] = np.ones((4, 8, 4, 4), "float32")
    wrong["final_super_0_4.2.bias"] = np.ones(1, "float32")
    expected = (
        "The state dict does not fit model 'unetpp', and nothing was assigned. "
        "2 missing: stage_0.Conv_forward.0.bias, CONV0_4.Conv_forward.3.running_var; "
        "1 extra: module.extra.weight; "
        "2 of another shape: upsample_0_4.weight (expected (8, 4, 4, 4), received (4, 8, 4, 4)), "
        "final_super_0_4.2.bias (expected (2,), received (1,)). "
        "Build the model from the Spec of these weights."
    )
    with pytest.raises(InputError) as caught:
        load_torch(made, wrong)
    assert str(caught.value) == expected
    assert_unchanged(made, before)


def test_a_deeper_state_is_refused_with_a_count(torch_state):
    with pytest.raises(InputError, match=r"fit model 'unetpp', .* \d+ extra: CONV3_1\..* and \d+ more\. Build"):
        load_torch(small(depth=3), torch_state)


def test_another_structure_is_refused(torch_state):
    expected = (
        "load_torch() needs a model of preset 'reference'. "
        "Received: up_kernel=2 instead of 4, head='conv' instead of 'preact'. "
        "Build it with build((None, None, 3), preset='reference', ..), and see load_torch() for what may differ."
    )
    with pytest.raises(InputError) as caught:
        load_torch(small(up_kernel=2, head="conv"), torch_state)
    assert str(caught.value) == expected


def test_a_model_without_a_spec_is_refused(model, torch_state):
    expected = (
        "load_torch() needs a model of preset 'reference'. Received: model 'unetpp_L2', which has no Spec. "
        "Load into the model that build() made, then prune it."
    )
    with pytest.raises(InputError) as caught:
        load_torch(select(model, 2), torch_state)
    assert str(caught.value) == expected


def test_an_unknown_layout_is_refused(model, torch_state):
    expected = "Unknown layout 'referense'. Did you mean 'reference'? Layouts: reference."
    with pytest.raises(InputError) as caught:
        load_torch(model, torch_state, layout="referense")
    assert str(caught.value) == expected
