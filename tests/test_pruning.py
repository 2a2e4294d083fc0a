import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.graph.describe import select
from keras_unetpp.kit.errors import InputError
from keras_unetpp.prediction.predictor import segment
from keras_unetpp.pruning import choose, levels, prune
from keras_unetpp.spec import Spec, cost
from keras_unetpp.spec.levels import LevelRow, LevelTable, cheapest, level_costs


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return build((None, None, 3), width=4, depth=3, normalization="standardize")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (3, 32, 40, 3), dtype=np.uint8)


def outputs(model, images):
    result = model.predict(images, verbose=0)
    return {name: np.array(value) for name, value in result.items()} if isinstance(result, dict) else result


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_cut_out_gives_its_head_bit_for_bit(model, images, level, copy):
    small = prune(model, level, copy=copy)
    assert np.abs(outputs(small, images) - outputs(model, images)[f"L{level}"]).max() == 0
    assert small.count_params() == cost(model.spec, level).params


def test_mean_is_the_average_of_the_heads(model, images):
    expected = np.mean(list(outputs(model, images).values()), axis=0)
    np.testing.assert_allclose(outputs(prune(model, "mean"), images), expected, atol=1e-6)


def test_a_copy_is_independent_and_a_shared_one_is_not(images):
    model = build((None, None, 3), width=4, depth=1)
    copy, shared = prune(model, 1, copy=True), prune(model, 1)
    before = outputs(copy, images)
    for weight in model.trainable_variables:
        weight.assign(weight + 0.5)
    assert np.array_equal(outputs(copy, images), before)
    assert not np.array_equal(outputs(shared, images), before)


@pytest.mark.parametrize("topology", ["unet_e", "unet+", "unet++"])
def test_the_spec_of_a_level_builds_the_same_layers(topology):
    spec = Spec((32, 32, 3), width=4, depth=3, topology=topology)
    model = build(spec)
    for level in spec.levels:
        small = prune(model, level)
        assert small.spec == spec.at_level(level)
        alone = build(small.spec)
        assert {layer.name for layer in alone.layers} == {layer.name for layer in small.layers}
        assert cost(small.spec) == cost(spec, level)


def test_a_pruned_file_opens_where_the_package_is_not_imported(model, images, tmp_path):
    prune(model, 2, copy=True).save(tmp_path / "small.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import keras, numpy, sys; m = keras.models.load_model('small.keras');"
        "numpy.save('out.npy', m.predict(numpy.load('images.npy'), verbose=0));"
        "plain = type(m) is type(keras.Model(m.input, m.output)) and not hasattr(m, 'spec');"
        "sys.exit('keras_unetpp' in sys.modules or not plain)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), outputs(model, images)["L2"])


def test_a_level_that_is_not_there_is_named(model):
    with pytest.raises(InputError, match=r"heads for level 1, 2, 3 or 'mean'\. Received: 4\."):
        prune(model, 4)
    with pytest.raises(InputError, match=r"heads for level 2\. Received: 1\."):
        prune(prune(model, 2), 1)


def test_levels_of_a_model_cost_time_and_score(model, images):
    masks = (images[..., 0] > 128).astype(np.uint8)
    rows = levels(model, (images, masks), size=(32, 32), repeat=2)
    assert [row.name for row in rows] == ["L1", "L2", "L3", "mean"]
    assert [row.nodes for row in rows] == [3, 6, 10, 10]
    assert all(row.latency > 0 and 0 <= row.iou <= row.dice <= 1 for row in rows)
    text = str(rows)
    assert text.splitlines()[0].split() == [
        *("level", "nodes", "parameters", "MACs", "weights", "activations", "latency", "IoU", "Dice")
    ]
    assert f"{cost(model.spec, 2).params:,}" in text
    assert f"{rows[1].iou:.4f}" in text


def test_scores_of_levels_are_those_of_the_heads(model, images):
    masks = (images[..., 0] > 128).astype(np.uint8)
    said = outputs(model, images)["L1"][..., 0] > 0.5
    expected = np.mean([(a & b).sum() / (a | b).sum() for a, b in zip(masks > 0, said, strict=True)])
    standardised_alike = levels(model, (images, masks), repeat=0)[0].iou
    assert standardised_alike == pytest.approx(expected, abs=1e-3)


def test_levels_of_a_spec_build_nothing():
    rows = levels(Spec.preset("unet++"))
    assert [row.cost.params for row in rows] == [100_961, 511_105, 2_204_961, 9_041_601, 9_041_700]
    assert rows == level_costs(Spec.preset("unet++"))
    assert all(row.latency is None and row.iou is None for row in rows)
    assert [row.name for row in levels(Spec.preset("unet"))] == ["L4"]


def test_open_sides_are_counted_at_256_or_the_next_multiple():
    assert levels(Spec((None, None, 1), width=8))[0].cost == cost(Spec((None, None, 1), width=8), 1, (256, 256))


def scored(*ious):
    spec = Spec((64, 64, 1), width=8, depth=len(ious))
    return LevelTable(
        LevelRow(row.level, row.nodes, row.cost, None, iou, iou)
        for row, iou in zip(level_costs(spec), (*ious, max(ious)), strict=True)
    )


@pytest.mark.parametrize(
    ("ious", "max_drop", "level"),
    [((0.8, 0.84, 0.85), 0.0, 3), ((0.8, 0.84, 0.85), 0.01, 2), ((0.8, 0.84, 0.85), 0.1, 1), ((0.9, 0.8, 0.8), 0.0, 1)],
)
def test_cheapest_level_within_the_drop(ious, max_drop, level):
    assert cheapest(scored(*ious), max_drop + 1e-12) == level


def test_choose_runs_the_model(model, images):
    masks = (outputs(model, images)["L2"][..., 0] > 0.5).astype(np.uint8)
    assert choose(model, (images, masks), max_drop=1.0) == 1
    assert choose(model, (images, masks), max_drop=0.0) == 2
    with pytest.raises(InputError, match=r"max_drop must be a number from 0 to 1\. Received: 2"):
        choose(model, (images, masks), max_drop=2)


def test_a_level_that_was_saved_and_opened_again_is_timed_and_scored(tmp_path, disk_folder):
    """One of version 0.1 tells no Spec, so no costs; its file goes wherever a model goes."""
    model = build((None, None, 3), width=4, depth=2)
    select(model, 1).save(tmp_path / "small.keras")
    shown = levels(tmp_path / "small.keras", disk_folder, repeat=1, masks="masks")
    assert [row.name for row in shown.rows] == ["L1"]
    (row,) = shown.rows
    expected = levels(model, disk_folder, repeat=0)[0]
    assert (row.iou, row.dice) == (expected.iou, expected.dice)
    assert row.latency > 0
    assert "parameters" in str(shown)
    image = np.random.default_rng(0).integers(0, 256, (40, 44, 3), dtype=np.uint8)
    found = segment(tmp_path / "small.keras", image)
    np.testing.assert_array_equal(found, segment(model, image, level=1))


def test_a_level_is_weighed_after_it_was_saved_and_opened(tmp_path, disk_folder):
    model = build((None, None, 3), width=4, depth=2)
    for level in (2, "mean"):
        prune(model, level).save(tmp_path / f"{level}.keras")
    (row,) = levels(tmp_path / "2.keras", disk_folder, repeat=0, masks="masks")
    assert row == levels(model, disk_folder, repeat=0, masks="masks")[1]
    assert choose(keras.models.load_model(tmp_path / "2.keras"), disk_folder, masks="masks") == 2
    with pytest.raises(InputError, match=r"choose\(\) weighs single levels\. Received: one that has the mean only\."):
        choose(keras.models.load_model(tmp_path / "mean.keras"), disk_folder, masks="masks")


def test_options_of_scoring_are_known_by_name(disk_folder):
    model = build((None, None, 3), width=4, depth=1)
    with pytest.raises(InputError, match=r"There is no option 'lables' of scoring. Did you mean 'labels'\?"):
        levels(model, disk_folder, repeat=0, lables="classes")


@pytest.mark.parametrize("repeat", [-1, 1.5, True, "3"])
def test_repeat_is_a_whole_number(repeat):
    with pytest.raises(InputError) as caught:
        levels(Spec((None, None, 3), width=4, depth=1), repeat=repeat)
    assert str(caught.value) == f"repeat must be a whole number of at least 0. Received: {repeat!r}."
