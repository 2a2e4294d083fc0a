"""Backbones: the table of all, their networks, their weights, and their place in a UNet++."""
