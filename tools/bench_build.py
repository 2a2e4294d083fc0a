"""Seconds to build preset `unet++`, to import `keras_unetpp.spec`, and to show `keras-unetpp --help`.

    python tools/bench_build.py

Each figure is taken in fresh processes; printed are median and least over them. A build is timed after the imports:
cold is the first of a process, warm the second. The aim for both is under a second.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

_BUILD = """
import time
from keras_unetpp.graph.build import build
for turn in range(2):
    start = time.perf_counter()
    build(preset={preset!r})
    print(time.perf_counter() - start)
"""

_SPEC = """
import time
start = time.perf_counter()
import keras_unetpp.spec
print(time.perf_counter() - start)
"""

_HELP = "import sys; from keras_unetpp.cli import main; sys.exit(main(['--help']))"


def main() -> None:
    """Time everything and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="unet++")
    parser.add_argument("--repeat", type=int, default=3, help="processes for each figure")
    options = parser.parse_args()
    builds = [_printed(_BUILD.format(preset=options.preset)) for _ in range(options.repeat)]
    print(f"load average {os.getloadavg()[0]:.1f}")
    print(f"{'':32}{'median':>10}{'least':>10}")
    _row(f"build {options.preset}, cold", [cold for cold, _ in builds])
    _row(f"build {options.preset}, warm", [warm for _, warm in builds])
    _row("import keras_unetpp.spec", [_printed(_SPEC)[0] for _ in range(options.repeat)])
    _row("keras-unetpp --help, process", [_process(_HELP) for _ in range(options.repeat)])


def _printed(code: str) -> list[float]:
    """The numbers that a fresh process prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return [float(line) for line in done.stdout.split()]


def _process(code: str) -> float:
    """Seconds of a whole process, the interpreter's start included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _row(name: str, times: list[float]) -> None:
    print(f"{name:32}{statistics.median(times):8.3f} s{min(times):8.3f} s")


if __name__ == "__main__":
    main()
