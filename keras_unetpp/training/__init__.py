"""Training: data sets of image/mask folders, augmentation, losses, metrics and the fit loop."""

import keras_unetpp.training.losses
import keras_unetpp.training.metrics  # noqa: F401 - both register their classes
