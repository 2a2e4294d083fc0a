"""What it costs that exported files run in a process of their own: paired times of a folder of images.

    python tools/bench_artefacts.py DATA [--model nuclei-small] [--size 256] [--images 50] [--threads 2]

DATA is a folder of images. Each file is opened twice, in this process and in one of its own, and every image goes
through both in turn, so that both share what else the machine does. The last column counts the start of the process
too, for a folder of so many images.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


import keras_unetpp as kup
from keras_unetpp.data.images import list_images, read_image
from keras_unetpp.formats.artefact import Artefact, open_file
from keras_unetpp.kit.tables import table
from keras_unetpp.prediction.predictor import Predictor


def main() -> None:
    """Export, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nuclei-small")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    model = kup.load(options.model)
    channels = int(model.inputs[0].shape[-1])
    images = [read_image(path, channels) for path in list_images(options.data)[: options.images]]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for level in (model.spec.levels[0], model.spec.levels[-1]):
            for name in ("model.tflite", "model.onnx"):
                path = Path(folder) / f"L{level}_{name}"
                kup.export(model, path, levels=level, size=options.size, verify=False)
                rows.append((path.name, *measured(path, images, options.threads)))
    print(f"{options.model}, {options.size} x {options.size}, {options.threads} threads, {len(images)} images\n")
    print(table(["file", "inside", "own process", "ratio", "start", "ratio with start"], rows))


def measured(path: Path, images: list, threads: int) -> tuple[str, ...]:
    """Cells of a row."""
    inside = Artefact(path, threads=threads)
    inside._functions = open_file(path, threads=threads, inside=True).functions
    start = time.perf_counter()
    open_file(path, threads=threads, inside=True)
    in_process = time.perf_counter() - start
    start = time.perf_counter()
    own = Artefact(path, threads=threads)
    start = time.perf_counter() - start - in_process
    predictors = Predictor(inside), Predictor(own)
    times: tuple[list[float], list[float]] = ([], [])
    for predictor in predictors:
        predictor(images[0])
    for number, image in enumerate(images):
        order = (0, 1) if number % 2 else (1, 0)
        for index in order:
            begin = time.perf_counter()
            predictors[index](image)
            times[index].append(time.perf_counter() - begin)
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    here, there = map(sum, times)
    cells = (1000 * here / len(images), 1000 * there / len(images))
    return (*(f"{one:.1f} ms" for one in cells), f"{ratio:.3f}", f"{start:.2f} s", f"{(there + start) / here:.3f}")


if __name__ == "__main__":
    main()
