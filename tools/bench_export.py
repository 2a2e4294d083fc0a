"""Exported files of a zoo model, one a level and format: size, latency, difference from Keras.

    python tools/bench_export.py DATA [--size 256] [--calibrate 16] [--labelled N] [--repeat 20]

DATA is a folder as `keras-unetpp train` takes it. Training images calibrate the 8-bit files; their IoU and that of the
model are taken on the validation images (all, or the first N), cropped or padded to the size. Every file is compared
with Keras by `export`'s own proof; then all are opened in their runtimes with two threads each and timed in turn, so
that all share what else the machine does. Latency is the median of one image; a SavedModel's holds the way to its
process and back.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


import keras_unetpp as kup
from keras_unetpp.exporting.samples import labelled_folder
from keras_unetpp.kit.tables import mega, score
from keras_unetpp.pruning import latencies

FORMATS: dict[str, tuple[str, str | None]] = {
    "SavedModel": ("model", None),
    "ONNX": ("model.onnx", None),
    "ONNX int8": ("int8.onnx", "int8"),
    "TFLite": ("model.tflite", None),
    "TFLite float16": ("float16.tflite", "float16"),
    "TFLite int8": ("int8.tflite", "int8"),
}
"""Column of the table -> file name and quantisation."""

FLOAT = {"ONNX int8": "ONNX", "TFLite int8": "TFLite"}
"""Column of 8-bit files -> that of the files they are measured by."""

THREADS = 2


def main() -> None:
    """Export, time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nuclei-small")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--calibrate", type=int, default=16, help="images to calibrate on")
    parser.add_argument("--labelled", type=int, help="validation images to score the 8-bit files on (default all)")
    parser.add_argument("--repeat", type=int, default=20, help="timed runs of each file")
    options = parser.parse_args()
    model = kup.load(options.model)
    train = [sample.image for sample in kup.read_folder(options.data) if sample.split == "train"]
    images, masks = (part[: options.labelled] for part in labelled_folder(options.data))
    extra: dict[str, Any] = {
        "calibration": train[:: max(len(train) // options.calibrate, 1)],
        "labelled": (images, masks),
    }
    with tempfile.TemporaryDirectory() as folder:
        reports: dict[tuple[int, str], Any] = {}
        for level in model.spec.levels:
            for title, (name, quantize) in FORMATS.items():
                own: dict[str, Any] = {"quantize": quantize, **(extra if title in FLOAT else {})} if quantize else {}
                path = Path(folder) / f"L{level}" / name
                reports[level, title] = kup.export(model, path, levels=level, size=options.size, **own)
                print(reports[level, title], flush=True)
        times = timed({key: Path(report.path) for key, report in reports.items()}, options.repeat)
    print(
        f"\n{options.model}, {options.size} x {options.size} pixels, batch 1, {THREADS} threads, files timed in turn;"
    )
    print(f"IoU of 8-bit files (and of the model) on {len(images)} validation images\n")
    print(f"| level | {' | '.join(FORMATS)} |\n|{'---|' * (len(FORMATS) + 1)}")
    for level in model.spec.levels:
        cells = [cell(reports, times, level, title) for title in FORMATS]
        print(f"| L{level} | {' | '.join(cells)} |")
    for title, whole in FLOAT.items():
        drop = max(one.model_iou - one.iou for level in model.spec.levels for one in reports[level, title].accuracy)
        deepest = model.spec.levels[-1]
        print(f"{title}: largest IoU drop {drop:.4f}; L{deepest} {share(reports, deepest, title):.2f} of the size and"
              f" {times[deepest, title] / times[deepest, whole]:.2f} of the time of {whole}")  # fmt: skip


def share(reports: dict[tuple[int, str], Any], level: int, title: str) -> float:
    """Size of an 8-bit file by that of the float one."""
    return float(reports[level, title].bytes / reports[level, FLOAT[title]].bytes)


def cell(reports: dict[tuple[int, str], Any], times: dict[Any, float], level: int, title: str) -> str:
    """Size, latency and difference of one file."""
    report = reports[level, title]
    (row,) = [one for one in report.rows if one.name == f"L{level}"]
    text = f"{mega(report.bytes)}, {times[level, title]:.0f} ms"
    if title not in FLOAT:
        return f"{text}, {row.difference:.0e}"
    (one,) = report.accuracy
    return f"{text}, masks {row.agreement:.2%}, IoU {score(one.iou)} ({score(one.model_iou)})"


def timed(paths: dict[Any, Path], repeat: int) -> dict[Any, float]:
    """Median milliseconds of each file, all timed in turn, the first turn not counted."""
    files = {key: kup.Artefact(path, threads=THREADS) for key, path in paths.items()}
    shape = tuple(side for side in next(iter(files.values())).signature.shape[1:] if side is not None)
    return latencies(files, shape, repeat)


if __name__ == "__main__":
    main()
