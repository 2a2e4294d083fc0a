"""Makes tries one after another until its time is over, and tells of each in a line of JSON."""

import argparse
import importlib
import json
import os
import shutil
import tempfile
import time
import zlib
from pathlib import Path
from random import Random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from fuzzing.kinds import KINDS, Kind
from fuzzing.mutations import mutated
from fuzzing.trial import FAULTS, Limits, Result, attempt
from keras_unetpp.files import RECORD

_MEMORY = 2**30
"""Bytes that a changed file may take more than one that is as it should be."""
_ROOM = 4 * 2**30
"""Bytes of addresses that a process gets, of which it must not use as many."""


class Bench:
    """The tries of one kind.

    Args:
        kind: of files.
        seeds: folder with good ones.
        area: folder for the tries.
        seed: of what is drawn.
        keep: folder for files that showed a fault, each with what was said.
    """

    def __init__(self, kind: Kind, seeds: Path, area: Path, seed: str, keep: Path | None) -> None:
        self.kind, self._area, self._seed, self._keep = kind, area, seed, keep
        self._seeds = sorted(path for path in (seeds / kind.name).iterdir() if path.name != RECORD)
        self._kept: dict[str, int] = {}
        self.spent, self.number = 0.0, 0
        self._limits = Limits(kind.seconds, kind.room or _ROOM, kind.programs)
        good = [self._read(self._fresh(seed)) for seed in self._seeds]
        for path, result in zip(self._seeds, good, strict=True):
            if result.outcome != "read":
                raise SystemExit(f"{path}, which is as it should be, is not read: {result.outcome}: {result.text}")
        self._peak = max(result.peak for result in good) + _MEMORY
        self._limits = self._limits._replace(seconds=kind.seconds + 10 * max(result.seconds for result in good))

    def go(self, number: int) -> Result:
        """Try number so-and-so; the same for the same seed."""
        start = time.monotonic()
        rng = Random(f"{self._seed}/{self.kind.name}/{number}")
        chosen, other = rng.choice(self._seeds), rng.choice(self._seeds)
        path = self._fresh(chosen)
        target = path
        if path.is_dir():
            target = rng.choice(sorted(one for glob in self.kind.files for one in path.glob(glob)))
            other = other / target.relative_to(path)
        data = target.read_bytes()
        fresh = mutated(data, target.suffix, rng, other.read_bytes() if other.is_file() else b"")
        target.write_bytes(fresh)
        self.kind.after(path)
        result = self._read(path)
        if result.peak > self._peak and result.outcome in ("read", "InputError"):
            said = f"{result.peak / 2**20:.0f} MiB, {result.outcome}: {result.text}"
            result = result._replace(outcome="memory", text=said, key="memory")
        if result.outcome in FAULTS and self._keep is not None:
            self._put_aside(number, chosen, target, path, fresh, result)
        self.spent += time.monotonic() - start
        return result

    def _read(self, path: Path) -> Result:
        return attempt(self.kind.read, path, self._area, self._limits)

    def _fresh(self, seed: Path) -> Path:
        """A copy of a good file in an area that is as at first."""
        shutil.rmtree(self._area, ignore_errors=True)
        for name in ("home", "tmp", "up/in"):
            (self._area / name).mkdir(parents=True)
        path = self._area / "up" / "in" / seed.name
        shutil.copytree(seed, path) if seed.is_dir() else shutil.copyfile(seed, path)
        return path

    def _put_aside(self, number: int, seed: Path, target: Path, path: Path, data: bytes, result: Result) -> None:
        self._kept[result.key] = self._kept.get(result.key, 0) + 1
        if self._keep is None or self._kept[result.key] > 3:
            return
        place = self._keep / self.kind.name / f"{result.outcome}-{zlib.crc32(result.key.encode()):08x}-{number}"
        place.mkdir(parents=True, exist_ok=True)
        (place / target.name).write_bytes(data)
        name = target.relative_to(path.parent)
        (place / "said.txt").write_text(f"{name} of {seed.name}, try {number}\n{result.text}\n", encoding="utf-8")


def serve(options: argparse.Namespace) -> None:
    """Spend the time on the kinds in equal parts."""
    kinds = [KINDS[name] for name in options.kinds.split(",")]
    for module in dict.fromkeys(module for kind in kinds for module in kind.imports):
        importlib.import_module(module)
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=in_memory) as folder:
        area = Path(folder)
        benches = [Bench(kind, options.seeds, area / kind.name, options.seed, options.keep) for kind in kinds]
        deadline = time.monotonic() + options.seconds
        while time.monotonic() < deadline:
            bench = min(benches, key=lambda one: one.spent)
            result = bench.go(bench.number)
            told = {"kind": bench.kind.name, "number": bench.number, **result._asdict(), "text": result.text[-2000:]}
            bench.number += 1
            print(json.dumps(told), flush=True)


def main() -> None:
    """Serve until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--keep", type=Path)
    serve(parser.parse_args())


if __name__ == "__main__":
    main()
