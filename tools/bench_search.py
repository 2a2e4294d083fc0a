"""Candidates a second that a search judges by closed form, against building each: `python tools/bench_search.py`."""

import argparse
import random
import time

import keras

from keras_unetpp.graph.build import build
from keras_unetpp.spec import Spec
from keras_unetpp.tuning import Budget

AXES: dict[str, tuple] = {
    "topology": ("unet", "unet+", "unet++"),
    "depth": (2, 3, 4, 5),
    "block": ("conv", "preact"),
    "norm": ("none", "batch", "instance"),
    "up": ("transpose", "nearest", "bilinear"),
}
BUDGETS = {
    "parameters": Budget(params=500_000),
    "parameters, MACs and activations": Budget(params=500_000, macs=2 * 10**9, activation_bytes=10**8),
    "TFLite bytes": Budget(tflite_bytes=2_000_000),
}
SIZE = (256, 256, 3)


def main() -> None:
    """Take turns: judge a batch by each budget, build one of it; print rates and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=12, help="networks built")
    parser.add_argument("--batch", type=int, default=500, help="candidates judged in each turn")
    options = parser.parse_args()
    draw = random.Random(0)
    judged = dict.fromkeys(BUDGETS, 0.0)
    built = 0.0
    every = [
        [{**{name: draw.choice(own) for name, own in AXES.items()}, "width": draw.randrange(2, 33)}
         for _ in range(options.batch)]
        for _ in range(options.turns)
    ]  # fmt: skip
    for fields in every:  # a structure's closed form is derived when it is first met
        for one in fields:
            for budget in BUDGETS.values():
                budget.fits(Spec(SIZE, **one))
    for fields in every:
        for name, budget in BUDGETS.items():
            start = time.perf_counter()
            for one in fields:
                budget.fits(Spec(SIZE, **one))
            judged[name] += time.perf_counter() - start
        keras.backend.clear_session()
        start = time.perf_counter()
        build(Spec(SIZE, **fields[0])).count_params()
        built += time.perf_counter() - start
    per_build = built / options.turns
    print(f"built and counted: {1 / per_build:.1f} a second")
    for name, spent in judged.items():
        each = spent / options.turns / options.batch
        print(f"judged by {name}: {1 / each:,.0f} a second, {per_build / each:,.0f} times as many")


if __name__ == "__main__":
    main()
