"""Spec -> `keras.Model`. What files name as classes is registered here."""

import keras_unetpp.graph.bins
import keras_unetpp.graph.model
import keras_unetpp.graph.resampling  # noqa: F401
