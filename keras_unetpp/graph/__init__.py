"""Spec -> `keras.Model`."""

import keras_unetpp.graph.bins
import keras_unetpp.graph.model  # noqa: F401 - both register their classes
