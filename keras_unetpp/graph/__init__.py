"""Spec -> `keras.Model`."""

import keras_unetpp.graph.model  # noqa: F401 - registers its class
