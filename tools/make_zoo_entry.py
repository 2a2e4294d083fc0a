"""Turn a finished training run into a zoo entry: half-precision weights, Spec, card with scores, manifest row.

    python tools/make_zoo_entry.py RUN --name nuclei-small --data DIR --summary TEXT --about FILE [--zoo zoo]

Prints the scores that the card holds. They are those of the file as it ships: it is loaded back from the zoo and run
on every validation image at native size. Also prints what the half precision cost against the run's own weights.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import keras_unetpp as kup
from keras_unetpp import weights
from keras_unetpp.files import write_text
from keras_unetpp.graph.describe import select
from keras_unetpp.graph.model import UNetPP
from keras_unetpp.kit.tables import table
from keras_unetpp.spec.cost import cost
from keras_unetpp.spec.level import MEAN
from keras_unetpp.training.evaluate import Score, mean
from keras_unetpp.zoo import CARD, SPEC, WEIGHTS


def main() -> None:
    """Make the entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the training run")
    parser.add_argument("--name", required=True)
    parser.add_argument("--data", required=True, help="the data it was trained on; its val split is scored")
    parser.add_argument("--summary", required=True, help="one line")
    parser.add_argument("--licence", default="Apache-2.0")
    parser.add_argument("--about", type=Path, required=True, help="Markdown text of the card: data, licence, limits")
    parser.add_argument("--command", required=True, help="the command that trained it")
    parser.add_argument("--zoo", type=Path, default=Path("zoo"))
    options = parser.parse_args()

    trained: UNetPP = keras.saving.load_model(options.run / "best.keras", compile=False)
    folder = options.zoo / options.name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / SPEC, trained.spec.to_json() + "\n", overwrite=True)
    weights.save(trained, folder / WEIGHTS, dtype="float16", overwrite=True)
    shipped = kup.build(trained.spec)
    weights.load(shipped, folder / WEIGHTS)
    scores = every_score(shipped, options.data)
    heads = list(dict.fromkeys(score.head for score in scores))
    best = max((head for head in heads if head != MEAN), key=lambda head: mean(scores, head).iou)
    before = mean(kup.evaluate(select(trained, int(best[1:])), options.data, progress=True), best).iou
    after = mean(scores, best).iou
    tables = score_tables(scores, heads)
    card = CARD_TEXT.format(
        name=options.name, summary=options.summary, about=options.about.read_text(encoding="utf-8").strip(),
        tables=tables, best=best, params=f"{cost(trained.spec).params:,}", licence=options.licence,
        command=options.command, half=f"{after - before:+.5f}",
    )  # fmt: skip
    write_text(folder / CARD, card, overwrite=True)
    add_row(options.zoo / "manifest.json", options.name, {
        "folder": folder.name, "summary": options.summary, "licence": options.licence, "best_level": int(best[1:]),
        "val_iou": round(after, 4),
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (SPEC, WEIGHTS, CARD)},
    })  # fmt: skip
    print(f"{tables}\n\n{best}: IoU {before:.5f} with the run's weights, {after:.5f} with half precision")


def every_score(model: UNetPP, data: str) -> list[Score]:
    """Scores of all heads and of their mean."""
    return kup.evaluate(model, data, progress=True) + kup.evaluate(select(model, MEAN), data, progress=True)


def score_tables(scores: Sequence[Score], heads: Sequence[str]) -> str:
    """IoU and Dice by level and kind of image."""
    kinds = [None, *dict.fromkeys(score.kind for score in scores)]
    headings = ["level"] + [f"{kind or 'all'} ({mean(scores, heads[0], kind).images})" for kind in kinds]
    parts = []
    for title in ("iou", "dice"):
        rows = [[head, *(f"{getattr(mean(scores, head, kind), title):.4f}" for kind in kinds)] for head in heads]
        parts.append({"iou": "IoU", "dice": "Dice"}[title] + "\n\n" + table(headings, rows))
    return "\n\n".join(parts)


def add_row(manifest: Path, name: str, row: dict[str, object]) -> None:
    """Put the entry into the manifest, or replace it there."""
    rows = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    write_text(manifest, json.dumps({**rows, name: row}, indent=2) + "\n", overwrite=True)


CARD_TEXT = """# {name}

{summary}

{params} parameters; licence of the weights: {licence}.

{about}

## Scores

Means over the validation images at native size, foreground at threshold 0.5; in brackets the number of images. These
images also chose the checkpoint and the best level ({best}), so expect a little less on new ones. Half precision
changed the IoU of {best} by {half}.

```
{tables}
```

## Made by

```
{command}
```
"""


if __name__ == "__main__":
    main()
