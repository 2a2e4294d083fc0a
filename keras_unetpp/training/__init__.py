"""Training: losses, metrics, the fit loop, runs in folders, scores."""

import keras_unetpp.training.losses
import keras_unetpp.training.metrics  # noqa: F401 - both register their classes
