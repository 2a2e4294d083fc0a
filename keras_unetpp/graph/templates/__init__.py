"""Backbones as plain functional networks of stock layers, before they become the encoder of a UNet++."""
