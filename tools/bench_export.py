"""Exported files of a zoo model, one a level and format: size, latency, difference from Keras.

    python tools/bench_export.py DATA [--size 256] [--calibrate 16] [--labelled 0]

DATA is a folder as `keras-unetpp train` takes it; training images calibrate the 8-bit files. With `--labelled N`, IoU
of the 8-bit files and of the model on N validation images is printed too. Latency is the median of one image, measured
by `export`'s own proof in each format's runtime, on two threads where the runtime lets them be set.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_unetpp as kup
from keras_unetpp.images import read_image, read_mask
from keras_unetpp.tables import mega, score, table

FORMATS: dict[str, tuple[str, str | None]] = {
    "SavedModel": ("model", None),
    "ONNX": ("model.onnx", None),
    "TFLite": ("model.tflite", None),
    "TFLite float16": ("model.tflite", "float16"),
    "TFLite int8": ("model.tflite", "int8"),
}
"""Row of the table -> file name and quantisation."""


def main() -> None:
    """Export, one level and format after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nuclei-small")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--calibrate", type=int, default=16, help="images to calibrate on")
    parser.add_argument("--labelled", type=int, default=0, help="validation images to score the 8-bit files on")
    options = parser.parse_args()
    model = kup.load(options.model)
    samples = kup.read_folder(options.data)
    calibration = [sample.image for sample in samples if sample.split == "train"]
    calibration = calibration[:: max(len(calibration) // options.calibrate, 1)]
    scored = [sample for sample in samples if sample.split == "val"][: options.labelled]
    labelled = [read_image(one.image, 3) for one in scored], [read_mask(one.mask) > 0 for one in scored]
    rows = []
    for level in model.spec.levels:
        for title, (name, quantize) in FORMATS.items():
            extra: dict[str, Any] = {"quantize": quantize} if quantize else {}
            if quantize == "int8":
                extra["calibration"] = calibration
                extra |= {"labelled": labelled} if scored else {}
            with tempfile.TemporaryDirectory() as folder:
                report = kup.export(model, Path(folder) / name, levels=level, size=options.size, **extra)
            (row,) = [one for one in report.rows if one.name == f"L{level}"]
            ious = [f"{score(one.iou)} ({score(one.model_iou)})" for one in report.accuracy] or ["-"]
            rows.append([f"L{level}", title, mega(report.bytes), f"{row.milliseconds:.1f} ms",
                         f"{row.difference:.1e}", f"{row.agreement:.3%}", ious[0]])  # fmt: skip
            print(" ".join(rows[-1]), flush=True)
    headings = ["level", "format", "size", "latency", "max difference", "mask agreement", "IoU (of the model)"]
    print(f"\n{options.model}, {options.size} x {options.size} pixels, batch 1\n{table(headings, rows)}")


if __name__ == "__main__":
    main()
