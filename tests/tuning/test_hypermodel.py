import keras_tuner
import numpy as np
import pytest

import keras_unetpp as kup
from keras_unetpp.kit.errors import InputError
from keras_unetpp.tuning.space import Space


def hypermodel(**fields):
    return kup.UNetPPHyperModel(kup.Budget(params=3_000), **{"depth": [1, 2], "width": [2, 4], **fields})


def test_it_works_in_keras_tuners_own_tuners(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    y = (x[..., :1] > 128).astype("float32")
    own = hypermodel(batch_size=[2, 4], depth=1)
    tuner = keras_tuner.RandomSearch(
        own, keras_tuner.Objective("val_iou", "max"), max_trials=1, directory=tmp_path, project_name="own", seed=1
    )
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    (best,) = tuner.get_best_hyperparameters()
    assert 0 <= tuner.oracle.get_best_trials()[0].score <= 1
    assert kup.cost(own.proposal(best).spec).params <= 3_000
    with pytest.raises(InputError, match="pass validation_data="):
        own.fit(best, own.build(best), x, y, epochs=1, verbose=0)


def test_it_is_a_hypermodel_and_so_is_what_is_derived_from_it():
    class Mine(kup.UNetPPHyperModel):
        """One of a user's own."""

    for cls in (kup.UNetPPHyperModel, Mine):
        one = cls(Space.create(kup.Budget(params=3_000), {"depth": [1, 2]}))
        assert isinstance(one, keras_tuner.HyperModel)
        assert isinstance(one, cls)


def test_every_point_survives_the_way_between_machines():
    own = kup.UNetPPHyperModel(
        kup.Budget(params=20_000), depth=[1, 2, 3, 4], norm=["batch", "group"], learning_rate=[0.01, 0.003]
    )
    oracle = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("val_iou", "max"), seed=1)
    space = oracle.get_space()
    own.declare_hyperparameters(space)
    oracle.update_space(space)
    for _ in range(100):
        hp = oracle.get_space()
        hp.values = oracle._random_values()
        sent = keras_tuner.HyperParameters.from_proto(hp.to_proto())
        assert own.proposal(sent) == own.proposal(hp)
        assert sent.values == hp.values


def test_a_budget_of_latency_needs_a_space_that_was_measured():
    with pytest.raises(InputError, match="pass that space instead"):
        kup.UNetPPHyperModel(kup.Budget(latency=5.0))
