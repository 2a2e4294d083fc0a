"""Latency of a network on this machine, measured on built but untrained networks, each once."""

import json
from pathlib import Path

from keras_unetpp.files import write_text
from keras_unetpp.kit.json_files import mapping, number, read_json
from keras_unetpp.spec.fields import Spec
from keras_unetpp.tuning.budget import Budget

REPEAT = 7
"""Timed runs; their median counts."""


_WAY_OUT = "Remove it to have latencies measured anew."


class Latency:
    """Milliseconds of a whole network with all its heads, batch 1, at the budget's size; kept in a file.

    Args:
        budget: whose size holds.
        path: where measurements are kept, so that a resumed search decides as it did before.
        overwrite: whether a file of that name may be replaced that this package did not write.
    """

    def __init__(self, budget: Budget, path: str | Path, overwrite: bool = False) -> None:
        self.budget, self.path, self.overwrite = budget, Path(path), overwrite
        known = self.path.is_file()
        self.known: dict[str, float] = read_json(self.path, mapping(number(0)), _WAY_OUT) if known else {}

    def __call__(self, spec: Spec) -> float:
        """Milliseconds of one network, built and measured unless that was done before."""
        sides = self.budget.sides(spec)
        key = json.dumps({**spec.to_dict(), "size": sides}, sort_keys=True)
        if key not in self.known:
            self.known[key] = measure(spec, sides)
            write_text(self.path, json.dumps(self.known, indent=1) + "\n", self.overwrite)
        return self.known[key]


def measure(spec: Spec, sides: tuple[int, ...], repeat: int = REPEAT) -> float:
    """Median milliseconds of one image of the given sides through a network with random weights."""
    import statistics
    import time

    import keras
    import numpy as np

    from keras_unetpp.graph.backend import compiled
    from keras_unetpp.graph.build import build

    keras.backend.clear_session()
    run = compiled(build(spec))
    image = np.random.default_rng(0).uniform(0, 255, (1, *sides, spec.channels)).astype("float32")
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        run(image)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])
