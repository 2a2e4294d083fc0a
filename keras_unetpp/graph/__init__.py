"""Spec -> `keras.Model`."""
