"""The time of things now against that of an earlier commit, paired: the two trees take turns.

    python tools/bench_against.py COMMIT [--rounds 4]                         Specs, building, starting
    python tools/bench_against.py COMMIT IMAGES [--images 100] [--rounds 4]   prediction

Each round runs a process of each tree. Of Specs it times creating 10,000 and telling their cost, once all their plans
are known; of building, the default network and one on a backbone; of starting, the import of `keras_unetpp.spec` and
`keras-unetpp --help`, each in a process of its own. All of these are processor time, the best of five.

IMAGES is a folder; its images are cropped to 256 x 256 pixels. There a process warms up and then times
`predict_folder` on all images and `segment` in a loop, with the Keras model and with the TFLite and ONNX files of its
deepest level, which each tree exports itself.

Printed are seconds and, of the ratios of the rounds, the median and the ends.
"""

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SIDE = 256
SPECS = 10_000
FORMATS = ("keras", "tflite", "onnx")


def main() -> None:
    """Unpack the earlier tree, let both run in turn, print."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(timed(Path(sys.argv[2])) if sys.argv[2:] else designed()))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("source", metavar="IMAGES", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    from keras_unetpp.kit.tables import table

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unpack(options.commit, folder / "before")
        if options.source:
            crops(options.source, options.images, folder / "images")
        rounds: list[dict[str, dict[str, float]]] = []
        for number in range(options.rounds):
            order = [("before", folder / "before"), ("now", ROOT)]
            arguments = [str(folder / "images")] if options.source else []
            times = {which: run(tree, arguments) for which, tree in (order if number % 2 else order[::-1])}
            rounds.append(times)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    rows = []
    for what in rounds[0]["now"]:
        ratios = [one["now"][what] / one["before"][what] for one in rounds]
        middle = [f"{statistics.median(one[which][what] for one in rounds):.3f} s" for which in ("before", "now")]
        rows.append((what, *middle, f"{statistics.median(ratios):.3f}", f"{min(ratios):.3f}..{max(ratios):.3f}"))
    what = f"{options.images} images of {SIDE} x {SIDE}" if options.source else f"{SPECS:,} Specs, networks, processes"
    print(f"{what}, {options.rounds} rounds, against {options.commit}\n")
    print(table(["what", "before", "now", "ratio", "ends"], rows))


def unpack(commit: str, folder: Path) -> None:
    """The files of a commit."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def crops(source: Path, count: int, folder: Path) -> None:
    """Images of one size."""
    import numpy as np

    from keras_unetpp.data.images import list_images, read_image, write_png

    folder.mkdir()
    for path in list_images(source)[:count]:
        image = np.asarray(read_image(path, 3))[:SIDE, :SIDE]
        spare = [(0, SIDE - side) for side in image.shape[:2]]
        write_png(folder / f"{path.stem}.png", np.pad(image, [*spare, (0, 0)], mode="reflect").astype(np.uint8))


def run(tree: Path, arguments: list[str]) -> dict[str, float]:
    """Times of a tree, by a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).resolve()), "--child", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def designed() -> dict[str, float]:
    """Seconds of processor time of Specs, networks and starts."""
    from bench_cost import drawn

    chosen = drawn(SPECS)
    starts = {"import of spec": ["-c", "import keras_unetpp.spec"], "--help": ["-m", "keras_unetpp", "--help"]}
    times = {what: best(partial(start, words), children=True) for what, words in starts.items()}

    from keras_unetpp.spec import Spec, cost

    specs = [Spec((256, 256, 3), **one) for one in chosen]
    times["creating Specs"] = best(lambda: [Spec((256, 256, 3), **one) for one in chosen])
    times["their cost"] = best(lambda: [cost(one) for one in specs])

    import keras

    from keras_unetpp.graph.build import build

    def built(**fields: Any) -> None:
        keras.utils.clear_session()
        build((256, 256, 3), **fields)

    times["build"] = best(built)
    times["build on a backbone"] = best(partial(built, backbone="efficientnet_lite0"))
    return times


def start(words: list[str]) -> None:
    """A process of this Python, without its output."""
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)


def best(work: Callable[[], object], children: bool = False) -> float:
    """The least processor time of five tries, of this process or of those that it starts."""
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    found = []
    for _ in range(5):
        before = resource.getrusage(who)
        work()
        after = resource.getrusage(who)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def timed(images: Path) -> dict[str, float]:
    """Seconds of each thing, in this process."""
    import keras_unetpp as kup
    from keras_unetpp.data.images import list_images, read_image

    model = kup.load("nuclei-small")
    arrays = [read_image(path, 3) for path in list_images(images)]
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            one = model
            if form != "keras":
                path = Path(folder, f"m.{form}")
                kup.export(model, path, levels=model.spec.levels[-1], size=SIDE, verify=False)
                one = kup.Artefact(path)
            kup.segment(one, arrays[0])
            begin = time.perf_counter()
            kup.predict_folder(one, images, Path(folder, f"out_{form}"))
            middle = time.perf_counter()
            for array in arrays:
                kup.segment(one, array)
            times[f"predict_folder, {form}"] = middle - begin
            times[f"segment, {form}"] = time.perf_counter() - middle
    return times


if __name__ == "__main__":
    main()
