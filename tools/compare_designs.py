"""What design choices cost, by closed form, and what they buy: presets of equal work trained alike on one folder.

    python tools/compare_designs.py --costs
    python tools/compare_designs.py DATA OUT --minutes 15
    python tools/compare_designs.py DATA OUT --minutes 0.2 --presets unet,unet++ --seeds 0

The first prints the tables of docs/designs.md and trains nothing. The others scale each preset to the same number of
multiply-accumulates (all widths and the growth rate by one factor; of a backbone only what is read from it), give it
images of three channels, one class, the same normalisation of pixels and batch normalisation, and train it with each
seed for so many minutes of training steps, validation aside. How many steps that is, is measured once before a run
begins. Nothing is chosen on the validation images: each network is scored once, after its last step, by its deepest
head, whose level is what is scaled and timed. Stopped or killed, the same command goes on where it was: a finished run
is a JSON file in OUT and is not done again, an unfinished one goes on after its last finished epoch.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from keras_unetpp.files import write_text
from keras_unetpp.kit.errors import InputError
from keras_unetpp.kit.tables import giga, mega
from keras_unetpp.recipe import Recipe
from keras_unetpp.spec import PRESETS, Spec, cost
from keras_unetpp.spec.choices import Choices
from keras_unetpp.spec.fields import FIELDS
from keras_unetpp.spec.levels import default_size

COMPARED = (
    *("unet", "unet++", "fusionnet", "resunet", "attention_unet", "tiramisu56", "xception_unet", "resnext_unet"),
    *("all_cnn_unet", "dla"),
)
"""At most ten, unless told otherwise."""

SIZE = (256, 256)
STEPS = 25
"""Of an epoch, after which a run that was killed goes on."""

BASE = Spec((*SIZE, 3), topology="unet", deep_supervision=False)
"""What one choice at a time is changed in."""


def main() -> None:
    """Read the options; print costs, or train what is not there yet and print what it gave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", metavar="DATA", help="folder of images and masks with a validation split")
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT", help="folder of the runs")
    parser.add_argument("--costs", action="store_true", help="print the tables of costs, and do nothing else")
    parser.add_argument("--presets", default=",".join(COMPARED), metavar="A,B", help="default: %(default)s")
    parser.add_argument("--gmacs", type=float, default=3.0, help="10^9 multiply-accumulates at 256 x 256 (default 3)")
    parser.add_argument("--minutes", type=float, default=15.0, help="of training steps a run (default 15)")
    parser.add_argument("--seeds", default="0,1", metavar="A,B", help="default 0,1")
    parser.add_argument("--crop", type=int, default=128, help="side in pixels (default 128)")
    parser.add_argument("--batch-size", type=int, default=8, help="crops a step (default 8)")
    options = parser.parse_args()
    if options.costs:
        print("\n".join(costs()))
        return
    if options.out is None:
        parser.error("DATA and OUT are needed, or --costs")
    compare(options)


def compare(options: argparse.Namespace) -> None:
    """Train all runs that are not finished, seed after seed, and print the table."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    specs = {name: equal_work(name, options.gmacs * 1e9) for name in options.presets.split(",")}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in specs}
    for seed in map(int, options.seeds.split(",")):
        for name, spec in specs.items():
            found[name].append(finished(name, spec, seed, options))
    print("\n".join(results(specs, found)))


def equal_work(name: str, macs: float) -> Spec:
    """A preset for the comparison, its widths scaled to those multiply-accumulates of its deepest level."""
    preset = Spec.preset(name)
    whole = preset.replace(input_shape=(None, None, 3), classes=1, norm="batch", normalization="standardize")
    low, high = 0.01, 8.0
    for _ in range(20):  # to a thousandth of a thousandth, far below one channel
        middle = (low * high) ** 0.5
        low, high = (middle, high) if work(scaled(whole, middle)) <= macs else (low, middle)
    # Numbers are rounded each by itself, so a factor a little off may come nearer.
    near = (scaled(whole, low * 1.01**step) for step in range(-8, 9))
    return min(near, key=lambda spec: abs(work(spec) - macs))


def work(spec: Spec) -> int:
    """Multiply-accumulates of the deepest level."""
    return cost(spec, spec.depth, SIZE).macs or 0


def scaled(spec: Spec, factor: float) -> Spec:
    """All widths times a factor, in the smallest step in which they can be divided as the Spec needs."""
    for step in (1, 2, 4, 8, 16, 32, 64):
        changes = {
            name: tuple(max(round(factor * width / step), 1) * step for width in getattr(spec, name))
            for name in ("filters", "decoder_filters")
        }
        growth = max(round(factor * spec.growth_rate), 1)
        try:
            return spec.replace(**changes, growth_rate=growth, max_filters=None)
        except InputError:
            continue
    raise InputError(f"No widths near {factor:.3g} times {spec.filters} make a valid Spec.")


def finished(name: str, spec: Spec, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """What a run gave: out of its file, or once it has been trained."""
    label = f"{name}-{seed}"
    done, begun = options.out / f"{label}.json", options.out / f"{label}.begun.json"
    asked = {"spec": spec.to_dict(), "minutes": options.minutes, "crop": options.crop, "batch": options.batch_size}
    for path in (done, begun):
        if path.is_file() and (before := json.loads(path.read_text(encoding="utf-8")))["asked"] != json.loads(
            json.dumps(asked)
        ):
            raise InputError(f"{path} is of other settings: {before['asked']}. Give another OUT, or the same settings.")
    if done.is_file():
        return dict(json.loads(done.read_text(encoding="utf-8")))
    import keras

    import keras_unetpp as kup
    from keras_unetpp.tuning.latency import measure

    options.out.mkdir(parents=True, exist_ok=True)
    if not begun.is_file():
        seconds = step_seconds(spec, options)
        steps = max(round(60 * options.minutes / seconds), 1)
        plan = {"asked": asked, "steps": min(steps, STEPS), "epochs": max(round(steps / STEPS), 1)}
        write_text(begun, json.dumps(plan, indent=2) + "\n")
    plan = json.loads(begun.read_text(encoding="utf-8"))
    recipe = Recipe(epochs=plan["epochs"], batch_size=options.batch_size, crop=options.crop, seed=seed,
                    crops_per_epoch=plan["steps"] * options.batch_size, val_every=plan["epochs"])  # fmt: skip
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    rows = kup.fit(kup.build(spec), options.data, options.out / label, recipe, describe=False)
    deepest = spec.at_level(spec.depth)
    result = {
        "asked": asked,
        "steps": plan["steps"] * plan["epochs"],
        "iou": rows[-1][f"val_L{spec.depth}_iou"],
        "dice": rows[-1][f"val_L{spec.depth}_dice"],
        "milliseconds": measure(deepest, SIZE),
    }
    write_text(done, json.dumps(result, indent=2) + "\n")
    return result


def step_seconds(spec: Spec, options: argparse.Namespace) -> float:
    """Of a training step, on random crops: the median of three after the first, which also compiles."""
    import keras
    import numpy as np

    import keras_unetpp as kup

    keras.utils.clear_session()
    model = kup.build(spec)
    model.compile("adamw", loss=kup.losses.BCEDice())
    rng = np.random.default_rng(0)
    sides = (options.batch_size, options.crop, options.crop)
    batch = rng.uniform(0, 255, (*sides, 3)).astype("float32"), rng.integers(0, 2, sides)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        model.train_on_batch(*batch)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def results(specs: dict[str, Spec], found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """The table, best first."""
    yield from _head("preset", "filters", "parameters", "MACs", "steps", "IoU", "least..most", "ms")
    for name in sorted(found, key=lambda one: -statistics.fmean(run["iou"] for run in found[one])):
        spec, runs = specs[name], found[name]
        scores = [run["iou"] for run in runs]
        yield _row(
            f"`{name}`",
            ", ".join(map(str, spec.filters)),
            f"{cost(spec, spec.depth).params:,}",
            giga(work(spec)),
            "; ".join(f"{run['steps']:,}" for run in runs),
            f"{statistics.fmean(scores):.4f}",
            f"{min(scores):.4f}..{max(scores):.4f}",
            f"{statistics.median(run['milliseconds'] for run in runs):.0f}",
        )


def costs() -> Iterator[str]:
    """What each row of each table of choices costs in a U-Net, and what the presets cost."""
    yield f"One choice at a time, in a U-Net of width {BASE.filters[0]} and depth {BASE.depth}, for an image of"
    yield f"{' x '.join(map(str, BASE.sides))} x 3 pixels; in brackets over that of the first line."
    yield ""
    yield from _head("option", "choice", "parameters", "MACs", "activations")
    yield _row("", "", *_costs(BASE))
    for name, item in FIELDS.items():
        table = item.metadata.get("allowed")
        rows = table.items() if isinstance(table, Choices) else ()
        yield from _changed(name, [key for key, row in rows if key != getattr(BASE, name) and 2 in row.ranks])
    for name, value in (("decoder_filters", (16, 32, 64, 128)), ("max_filters", 256), ("depth", 5), ("bias", False)):
        yield from _changed(name, [value])
    yield ""
    yield "Presets, each at the size that is named:"
    yield ""
    yield from _head("preset", "size", "parameters", "MACs", "activations")
    for name in PRESETS:
        spec = Spec.preset(name)
        size = default_size(spec)
        found = cost(spec, size=size)
        yield _row(f"`{name}`", " x ".join(map(str, (*size, spec.channels))), f"{found.params:,}", giga(found.macs),
                   mega(found.activation_bytes))  # fmt: skip


def _changed(name: str, values: Iterable[Any]) -> Iterator[str]:
    """A line for choices of one option that cost the same; why, where one cannot stand in the network by itself."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for value in values:
        # U-Nets of all depths need their heads.
        heads = {"deep_supervision": True} if (name, value) == ("topology", "unet_e") else {}
        try:
            cells = _costs(BASE.replace(**{name: value}, **heads))
        except InputError as error:
            cells = ("-", "-", str(error))
        lines.setdefault(cells, []).append(f"`{value}`")
    for cells, alike in lines.items():
        yield _row(f"`{name}`", ", ".join(alike), *cells)


def _costs(spec: Spec) -> tuple[str, ...]:
    usual, found = cost(BASE), cost(spec)
    cells = [(found.params, usual.params, f"{found.params:,}"), (found.macs, usual.macs, giga(found.macs))]
    cells.append((found.activation_bytes, usual.activation_bytes, mega(found.activation_bytes)))
    return tuple(f"{text} ({(one or 0) / (other or 1):.2f})" for one, other, text in cells)


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield _row(*("---" for _ in cells))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
