"""`keras-unetpp backbones`."""

import argparse

from keras_unetpp.cli.say import say

USAGE = ""
HELP = "list the encoders that --backbone can name, and what they cost"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: nothing."""


def run() -> None:
    """Print the table."""
    from keras_unetpp.graph.encoders.registry import backbones

    say(backbones())
