"""`keras-unetpp zoo`."""

import argparse

from keras_unetpp.cli.say import say

USAGE = "[NAME]"
HELP = "list the trained models, or show the card of one"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("name", nargs="?", help="entry whose card to show")


def run(name: str | None) -> None:
    """Print the table, or the card."""
    from keras_unetpp import zoo

    say(zoo.list() if name is None else zoo.entry(name).card)
