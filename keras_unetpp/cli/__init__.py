"""The command line: one module a command, options derived from `Spec` and `Recipe`, one-line errors.

A command's module has `USAGE` and `HELP`, `options`, which declares what it takes, and `run`, which may return an exit
code. Nothing heavy is imported before a command runs.
"""

import argparse
import importlib
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from keras_unetpp.cli.quiet import hush
from keras_unetpp.cli.say import tell
from keras_unetpp.kit.errors import InputError, InputWarning

COMMANDS = ("data", "train", "search", "predict", "levels", "prune", "export", "backbones", "designs", "zoo")

_NEGATIVE = re.compile(r"-\.?\d[\d._e+-]*([,x](none|[\d._e+-]+))*", re.IGNORECASE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0; 1 where a part of the work could not be done; 2 for input that can be mended; 130 when
        interrupted.
    """
    hush()
    try:
        options = vars(_parser().parse_args(_numbers_joined(sys.argv[1:] if arguments is None else arguments)))
        command: Callable[..., int | None] = options.pop("run")
        with warnings.catch_warnings():
            warnings.showwarning = _note
            return command(**options) or 0
    except (InputError, OSError) as error:
        tell(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        tell("interrupted; the same command goes on where finished work was written")
        return 130


def _note(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """One line for a warning about input; those of other packages say nothing that helps here."""
    if issubclass(category, InputWarning):
        tell(f"note: {message}")


def _numbers_joined(words: Sequence[str]) -> list[str]:
    """Words, with negative numbers joined to the option before: `argparse` would take -1e-3 or -1,2 for options."""
    joined: list[str] = []
    for word in words:
        if _NEGATIVE.fullmatch(word) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise what `main` prints."""
        raise InputError(f"{message}. See {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="keras-unetpp", description="UNet++ for Keras: train, compare levels, cut, ship.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"{__name__}.{name}")
        usage = f"keras-unetpp {name} {module.USAGE} [options]"
        own = commands.add_parser(name, help=module.HELP, description=module.HELP, usage=usage)
        own.set_defaults(run=module.run)
        module.options(own)
    return parser
