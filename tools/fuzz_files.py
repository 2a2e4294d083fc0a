"""Changes files of every kind that the package reads, and counts what comes of reading them.

    python tools/fuzz_files.py --seconds 60 --seed 0 [--kinds png,tiff] [--keep DIR]

Each try changes a good file (bytes, structure, numbers) and reads it in a process of its own, with limits of memory and
time, which may write into its own folder only. A try ends as

read          the change did no harm
InputError    refused, in one line
signal        the process died
hang          no answer in time
outside       a file outside of its folder was written or changed, or a program started
traceback     any other exception, or numbers that should have been refused
memory        more than a good file takes and 1 GiB

The exit code is 1 if there was any of the last five. The same seed makes the same tries in the same order, though a
busy machine makes fewer of them. Linux only.
"""

import argparse
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO, cast

from fuzzing.kinds import KINDS
from fuzzing.trial import FAULTS, OUTCOMES

_GRACE = 600
"""Seconds after its time within which a process has to be done with its last try."""


class Counts:
    """What came of the tries so far."""

    def __init__(self) -> None:
        self.by_kind: dict[str, Counter[str]] = {}
        self.faults: dict[tuple[str, str, str], list[dict[str, Any]]] = {}

    def add(self, told: dict[str, Any]) -> None:
        """Count a try."""
        self.by_kind.setdefault(told["kind"], Counter())[told["outcome"]] += 1
        if told["outcome"] in FAULTS:
            self.faults.setdefault((told["kind"], told["outcome"], told["key"]), []).append(told)

    @property
    def tries(self) -> int:
        """All of them."""
        return sum(map(Counter.total, self.by_kind.values()))

    def __str__(self) -> str:
        rows = [["kind", "tries", *OUTCOMES]]
        for name in (name for name in KINDS if name in self.by_kind):
            counts = self.by_kind[name]
            rows.append([name, f"{counts.total():,}", *(f"{counts[one]:,}" for one in OUTCOMES)])
        total = sum(self.by_kind.values(), Counter())
        rows.append(["all", f"{total.total():,}", *(f"{total[one]:,}" for one in OUTCOMES)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        for (kind, outcome, key), tries in sorted(self.faults.items()):
            numbers = ", ".join(str(one["number"]) for one in tries[:3])
            lines.append(f"{kind}: {outcome}, {key}: {len(tries)} times, such as in try {numbers}")
        return "\n".join(lines)


def main() -> int:
    """Make the good files, have them changed and read until the time is over, and print the counts."""
    options = _options()
    kinds = options.kinds.split(",")
    if unknown := [name for name in kinds if name not in KINDS]:
        raise SystemExit(f"There is no kind {unknown[0]!r}. Kinds: {', '.join(KINDS)}.")
    with tempfile.TemporaryDirectory(prefix="fuzz-seeds-") as folder:
        seeds = options.seeds or Path(folder)
        missing = [name for name in kinds if not (seeds / name).is_dir()]
        counts = Counts()
        if missing:
            _said("making good files ..")
            _collect([_Process("kinds", str(seeds), ",".join(missing))], counts, _GRACE)
        groups = [[name for name in kinds if KINDS[name].heavy is heavy] for heavy in (False, True)]
        _collect([_server(group, seeds, options) for group in groups if group], counts, options.seconds)
    _said("")
    print(counts)
    return int(bool(counts.faults))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for tries; making good files and ending take more")
    parser.add_argument("--seed", default="0", help="decides on all changes")
    parser.add_argument("--kinds", default=",".join(KINDS), help="default %(default)s")
    parser.add_argument("--keep", type=Path, help="folder for files that showed a fault, each with what was said")
    parser.add_argument("--seeds", type=Path, help="folder where good files are, or are left for the next call")
    return parser.parse_args()


class _Process:
    """A module of `fuzzing` in a process of its own."""

    def __init__(self, module: str, *arguments: str) -> None:
        here = Path(__file__).resolve().parent
        path = os.pathsep.join(filter(None, (str(here), str(here.parent), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self.pipe = subprocess.Popen([sys.executable, "-m", f"fuzzing.{module}", *arguments], env=environment,
                                     stdout=subprocess.PIPE, stderr=self._errors)  # fmt: skip
        self.rest = b""

    @property
    def stdout(self) -> BinaryIO:
        """What it tells."""
        return cast(BinaryIO, self.pipe.stdout)

    def lines(self) -> list[bytes] | None:
        """The whole lines that have come; None at the end."""
        data = os.read(self.stdout.fileno(), 2**20)
        *lines, self.rest = (self.rest + data).split(b"\n")
        return lines if data else None

    def end(self) -> None:
        """Wait for its end; if that is not a good one, it is the end of this process too."""
        if self.pipe.wait():
            self._errors.seek(0)
            raise SystemExit(self._errors.read().decode(errors="replace"))


def _server(kinds: list[str], seeds: Path, options: argparse.Namespace) -> _Process:
    keep = ["--keep", str(options.keep.resolve())] if options.keep else []
    return _Process("server", "--kinds", ",".join(kinds), "--seeds", str(seeds.resolve()), "--seconds",
                    str(options.seconds), "--seed", options.seed, *keep)  # fmt: skip


def _collect(processes: list[_Process], counts: Counts, seconds: float) -> None:
    """Count what processes tell until they end."""
    deadline = time.monotonic() + seconds
    try:
        with selectors.DefaultSelector() as selector:
            for one in processes:
                selector.register(one.stdout, selectors.EVENT_READ, one)
            while selector.get_map():
                ready = selector.select(max(deadline + _GRACE - time.monotonic(), 0))
                if not ready:
                    raise SystemExit("A process does not end.")
                for key, _ in ready:
                    lines = key.data.lines()
                    if lines is None:
                        selector.unregister(key.fileobj)
                        key.data.end()
                    for line in lines or ():
                        counts.add(json.loads(line))
                left = max(deadline - time.monotonic(), 0)
                _said(f"{counts.tries:,} tries, {sum(map(len, counts.faults.values())):,} faults, {left:.0f} s left")
    finally:
        for one in processes:
            one.pipe.kill()


def _said(text: str) -> None:
    """Show progress in place, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
