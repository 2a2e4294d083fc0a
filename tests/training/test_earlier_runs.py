"""A run that an earlier version began."""

import json

import keras
import pytest

from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.training.fit import fit

TINY = {"crop": 16, "batch_size": 4, "crops_per_epoch": 4, "epochs": 2, "progress": False}


def network(**fields):
    return build((None, None, 3), **{"width": 2, "depth": 1, "normalization": "standardize", **fields})


def begun(folder, data, **fields):
    """A run as version 0.1.0 left it after one epoch."""
    fit(network(**fields), data, folder, until=1, **TINY)
    path = folder / "run.json"
    written = json.loads(path.read_text())
    del written["spec"]["standardize_epsilon"]
    path.write_text(json.dumps(written))


def test_it_goes_on_with_the_constant_that_it_was_begun_with(disk_folder, tmp_path):
    begun(tmp_path / "run", disk_folder, standardize_epsilon=0.1)
    model = network()
    rows = fit(model, disk_folder, tmp_path / "run", **TINY)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert model.spec.standardize_epsilon == 0.1
    saved = keras.saving.load_model(tmp_path / "run" / "last.keras")
    for one in (model, saved):
        assert one.get_layer("normalization").epsilon == one.spec.standardize_epsilon == 0.1


def test_another_constant_asked_for_is_an_error(disk_folder, tmp_path):
    begun(tmp_path / "run", disk_folder, standardize_epsilon=0.1)
    with pytest.raises(
        InputError, match=r"a run with spec\.standardize_epsilon = 0\.1\. Received: 0\.001\. Resume with"
    ):
        fit(network(standardize_epsilon=1e-3), disk_folder, tmp_path / "run", **TINY)


@pytest.mark.sweep
def test_where_nothing_is_standardised_nothing_changes(disk_folder, tmp_path):
    begun(tmp_path / "run", disk_folder, normalization="rescale")
    model = network(normalization="rescale")
    assert len(fit(model, disk_folder, tmp_path / "run", **TINY)) == 2
    assert model.spec == network(normalization="rescale").spec
