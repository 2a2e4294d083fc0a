"""Draws Specs at random over all of their fields, and looks whether what must hold for each of them does.

    python tools/fuzz_specs.py --count 2000 --seed 0 [--export-every 20]

Fields are drawn from their tables, so that a row that is added is drawn too. What is drawn may not go together; then it
has to be an InputError of one line, and is drawn again. Of each Spec that can be, the network is built and

cost          parameters, multiply-accumulates and memory, of own encoders, are those of the built layers
gradient      every trainable weight has a gradient that is finite and, on one of several images, not all zero; biases
              before a normalisation aside
level         each level gives the same cut out as in the whole
training      a step on random masks has a finite loss
file          saved and opened it gives the same, bit for bit
export        (of some) SavedModel, TFLite and ONNX, each compared by `export`; the TFLite file is within its bound

The exit code is 1 if anything did not hold. The same seed draws the same Specs.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from keras_unetpp.kit.errors import InputError  # noqa: E402
from keras_unetpp.spec import Spec  # noqa: E402
from keras_unetpp.spec.fields import FIELDS  # noqa: E402

BACKBONE = "small_stages"
TRIES = 12
"""Times that weights and images are drawn before a gradient of zero counts."""


def drawn(seed: int) -> tuple[Spec, Counter[str]]:
    """A Spec, and how often what was drawn before was refused, by the first words of the message.

    Raises:
        Exception: any but `InputError` of one line.
    """
    draw, refused = random.Random(seed), Counter[str]()
    while True:
        fields = values(draw)
        try:
            return Spec(**fields), refused
        except InputError as error:
            if "\n" in str(error):
                raise AssertionError(f"a message of several lines for {fields}: {error}") from error
            refused[" ".join(str(error).split()[:2])] += 1


def values(draw: random.Random) -> dict[str, Any]:
    """Values of all fields, each allowed by itself, most often the usual one; small networks."""
    rank, depth = draw.choice((2, 2, 3)), draw.choice((1, 2, 2, 3))
    some = {name: draw.choice([*item.metadata["allowed"]]) for name, item in FIELDS.items()
            if "allowed" in item.metadata and draw.random() < 0.5}  # fmt: skip
    backbone = BACKBONE if rank == 2 and draw.random() < 0.3 else None
    stem = backbone is None or draw.random() < 0.7
    step = draw.choice((2, 4, 8))

    def by_row(count: int, *choices: Any) -> tuple[Any, ...]:
        wanted = draw.choice((0, 0, 0, 1, count))
        return tuple(draw.choice(choices) for _ in range(wanted))

    thick = (1, *(2,) * (rank - 1))
    strides = () if backbone else by_row(depth, 1, 2, thick)
    sides = tuple(draw.choice((1, 2)) * 2 ** (depth + (not stem)) for _ in range(rank))
    return some | {
        "input_shape": (*(max(side, 8) for side in sides), draw.randint(1, 4)),
        "classes": draw.randint(1, 3),
        "depth": depth,
        "filters": tuple(step * draw.randint(1, 2) for _ in range(depth + (backbone is None))),
        "decoder_filters": by_row(depth, step, 2 * step) if draw.random() < 0.3 else (),
        "backbone": backbone,
        "stem": stem,
        "block_layers": by_row(depth + 1, 1, 2, 3),
        "strides": strides,
        "kernels": by_row(depth + 1, 1, 3, (3, *(1,) * (rank - 1))),
        "dilations": by_row(depth + 1, 1, 2),
        "growth_rate": draw.choice((2, 4)),
        "cardinality": draw.choice((1, 2)),
        "squeeze_ratio": draw.choice((1, 2)),
        "bias": draw.random() < 0.5,
        "norm_groups": draw.choice((1, 2)),
        "dropout": draw.choice((0.0, 0.3)),
        "activation_slope": draw.choice((0.01, 0.2)),
        "up_kernel": draw.randint(2, 4),
        "head_kernel": draw.choice((1, 3)),
        "deep_supervision": draw.random() < 0.7,
    }


def faults(spec: Spec, seed: int, exports: bool = False) -> Iterator[str]:
    """What does not hold for a Spec, in words, each beginning with one of the words at the top."""
    import keras
    import numpy as np
    from counting import built, counted

    from keras_unetpp.graph.describe import describe, select
    from keras_unetpp.spec import cost

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model, order = built(spec)
    found, told = counted(model, order), cost(spec)
    if spec.backbone:  # whose memory was measured on images so large that single cells do not count
        told = told._replace(activation_bytes=found.activation_bytes)
    if found != told:
        yield f"cost: {told}, but the layers have {found}"
    shape = (2, *(int(side or 0) for side in spec.input_shape))
    x = np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")
    still = never_moved(spec, model, x, seed)
    if still:
        yield f"gradient: none at {', '.join(still)}"
    outputs = dict(zip(describe(model).outputs, keras.tree.flatten(model(x)), strict=True))
    for level in spec.levels:
        whole = outputs.get(f"L{level}", next(iter(outputs.values())))
        if not np.array_equal(select(model, level)(x), whole, equal_nan=True):
            yield f"level: L{level} differs"
    yield from lost(spec, model, x, seed)
    model.set_weights([np.random.default_rng(2).uniform(0.5, 1.5, one.shape) / max(one.size, 1) ** 0.5
                       for one in model.get_weights()])  # fmt: skip
    outputs = dict(zip(outputs, keras.tree.flatten(model(x)), strict=True))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "model.keras")
        model.save(path)
        opened = keras.models.load_model(path)
        again = zip(keras.tree.flatten(opened(x)), outputs.values(), strict=True)
        if opened.spec != spec or not all(np.array_equal(*pair, equal_nan=True) for pair in again):
            yield "file: what was saved opens as something else"
        if exports:
            yield from refused_exports(model, Path(name))


def lost(spec: Spec, model: Any, x: Any, seed: int) -> Iterator[str]:
    """A loss that is not finite, after which the weights are as before."""
    import numpy as np

    from keras_unetpp.training.losses import CrossEntropy

    before = model.get_weights()
    y = np.random.default_rng(seed).integers(0, max(spec.classes, 2), x.shape[:-1])
    multi_label = spec.classes > 1 and spec.output_activation == "sigmoid"
    loss = CrossEntropy(from_logits=spec.output_activation == "linear", multi_label=multi_label)
    model.compile("sgd", loss, run_eagerly=True)
    if not np.isfinite(model.train_on_batch(x, y)).all():
        yield "training: the loss is not finite"
    model.set_weights(before)


def never_moved(spec: Spec, model: Any, x: Any, seed: int) -> list[str]:
    """Weights without a gradient, whatever the weights and images of a few draws."""
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_unetpp.graph.build import build

    for attempt in range(TRIES):
        if attempt:
            keras.utils.set_random_seed(seed + attempt)
            model = build(spec)
            x = np.random.default_rng(seed + attempt).uniform(0, 255, x.shape).astype("float32")
        weights = model.trainable_variables
        with tf.GradientTape() as tape:
            outputs = keras.tree.flatten(model(x, training=True))
            noise = [np.random.default_rng(1).normal(size=one.shape).astype("float32") for one in outputs]
            loss = tf.add_n([tf.reduce_sum(one * weight) for one, weight in zip(outputs, noise, strict=True)])
        gradients = tape.gradient(loss, [one.value for one in weights])
        if attempt == 0:
            spared = () if spec.norm == "none" else ("/bias",)
            names = {one.path for one in weights if not one.path.endswith(spared)}
        names &= {one.path for one, gradient in zip(weights, gradients, strict=True)
                  if gradient is None or not np.isfinite(gradient).all() or not np.any(gradient)}  # fmt: skip
        if not names:
            return []
    return sorted(names)


def refused_exports(model: Any, folder: Path) -> Iterator[str]:
    """Files that are not the model's, or larger than their bound."""
    from keras_unetpp.exporting import export
    from keras_unetpp.tuning.tflite_bytes import tflite_bytes

    spread = model.spec.rank == 3 and (max((1, *model.spec.dilations)) > 1 or model.spec.context == "atrous_pyramid")
    for name in ("served/1", "a.onnx", *([] if spread else ["a.tflite"])):  # TFLite dilates in images alone
        try:
            export(model, folder / name)
        except InputError as error:
            yield f"export: {error}"
    path = folder / "a.tflite"
    if path.exists() and path.stat().st_size > (most := tflite_bytes(model.spec)):
        yield f"export: {path.stat().st_size} bytes of TFLite are more than the bound of {most}"


def main() -> int:
    """Draw, look, print what does not hold and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--export-every", type=int, default=20)
    options = parser.parse_args()
    from conftest import small_stages

    small_stages()
    refused, bad = Counter[str](), 0
    for number in range(options.count):
        seed = options.seed * 1_000_000 + number
        spec, before = drawn(seed)
        refused += before
        for fault in faults(spec, seed, exports=number % options.export_every == 0):
            bad += 1
            usual = Spec().to_dict()
            own = {name: value for name, value in spec.to_dict().items() if value != usual[name]}
            print(f"{fault}\n    seed {seed}: {own}", flush=True)
        if (number + 1) % 50 == 0:
            print(f"{number + 1} of {options.count}", file=sys.stderr, flush=True)
    print(f"{options.count} Specs of seed {options.seed}, {bad} faults; before them {refused.total()} were refused:")
    for words, times in refused.most_common():
        print(f"    {times:6}  {words}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
