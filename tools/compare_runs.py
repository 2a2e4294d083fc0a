"""Validation IoU of training runs side by side: the best level's at each validated epoch, and the best of all.

python tools/compare_runs.py RUN ..
"""

import argparse
from pathlib import Path

from keras_unetpp.kit.tables import table
from keras_unetpp.training.run import Row, Run, read_log


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    runs = parser.parse_args().runs
    logs = [{int(row["epoch"]): row for row in read_log(Run(run).log) if best(row)[0]} for run in runs]
    epochs = sorted(set().union(*logs))
    rows = [[str(epoch), *(cell(log.get(epoch, {})) for log in logs)] for epoch in epochs]
    rows.append(["best", *(cell(max(log.values(), key=best)) for log in logs)])
    print(table(["epoch", *(run.name for run in runs)], rows))


def best(row: Row) -> tuple[float, str]:
    """The best level's IoU and its name; 0 where nothing was validated."""
    scores = [(value, name[4:-4]) for name, value in row.items() if name.startswith("val_") and name.endswith("_iou")]
    return max(scores, default=(0.0, ""))


def cell(row: Row) -> str:
    """`0.8123 (L3)`, or a dash."""
    value, level = best(row)
    return f"{value:.4f} ({level})" if level else "-"


if __name__ == "__main__":
    main()
