"""How many Specs a second the closed-form cost judges: `python tools/bench_cost.py`."""

import random
import time
from typing import Any

from keras_unetpp.spec import Spec, cost

COUNT = 20_000
CHOICES: dict[str, tuple] = {
    "topology": ("unet", "unet+", "unet++"),
    "depth": (2, 3, 4, 5),
    "block": ("conv", "preact"),
    "norm": ("none", "batch", "instance"),
    "up": ("transpose", "nearest", "bilinear"),
    "deep_supervision": (True, False),
}
"""Of fields that every version has: `bench_against.py` gives them to earlier ones."""


def drawn(count: int) -> list[dict[str, Any]]:
    """Fields of as many random Specs, of many structures and widths."""
    draw = random.Random(0)
    return [{**{name: draw.choice(values) for name, values in CHOICES.items()}, "width": draw.randrange(4, 65)}
            for _ in range(count)]  # fmt: skip


def main() -> None:
    """Print the rates for random Specs of many structures and widths, once every structure has been met."""
    fields = drawn(COUNT)
    for one in fields:
        cost(Spec((256, 256, 3), **one))
    start = time.perf_counter()
    specs = [Spec((256, 256, 3), **one) for one in fields]
    made = time.perf_counter()
    for spec in specs:
        cost(spec)
    end = time.perf_counter()
    print(f"{COUNT / (end - start):,.0f} Specs a second, creating them included")
    print(f"{COUNT / (end - made):,.0f} Specs a second, the cost alone")


if __name__ == "__main__":
    main()
