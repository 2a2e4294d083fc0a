"""Measure every backbone that ships: channels, parameters, work, memory and view of each tap, for closed-form costs.

    python tools/measure_backbones.py [--only NAME ..] [--out keras_unetpp/spec/backbone_facts.json]

Prints each backbone's row as it is done; some minutes for all. A test compares the file with the built networks.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from keras_unetpp.files import write_text
from keras_unetpp.graph.encoders.measure import measure
from keras_unetpp.graph.encoders.registry import template
from keras_unetpp.spec.backbone_table import BACKBONES

FACTS = Path(__file__).parents[1] / "keras_unetpp" / "spec" / "backbone_facts.json"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(BACKBONES), metavar="NAME", help="these; keep the others")
    parser.add_argument("--out", type=Path, default=FACTS)
    options = parser.parse_args()
    facts = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {}
    for name in options.only or BACKBONES:
        keras.utils.clear_session()
        start = time.perf_counter()
        taps = measure(template(name), [layer for _, layer in BACKBONES[name].taps])
        facts[name] = [list(tap[2:]) for tap in taps]
        print(f"{name:28} {time.perf_counter() - start:5.1f} s", *(tap.channels for tap in taps), flush=True)
    lines = [f"{json.dumps(name)}: {json.dumps(facts[name])}" for name in BACKBONES if name in facts]
    write_text(options.out, "{\n" + ",\n".join(lines) + "\n}\n", overwrite=True)


if __name__ == "__main__":
    main()
