"""Backbones as plain Keras models, before a UNet++ takes them apart."""
