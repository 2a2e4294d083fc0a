"""Training step and inference of preset `reference`: Keras on TensorFlow, with and without XLA, beside PyTorch.

    python tools/bench_training.py
    python tools/bench_training.py --width 64 --size 256 --batch 1 --repeat 3

Both sides get the same weights and images. First the largest differences of outputs and of the first loss are printed;
then, for the training step (forward, backward, optimizer) and for inference, one row a runner: median and least
milliseconds of the clock, median milliseconds of processor time over all threads, and for both the median over
repetitions of the quotient by PyTorch's in the same repetition. Runners take turns within a repetition, so a load on
the machine meets all of them; on a busy machine processor time with `--threads 1` is the figure to trust. Without
PyTorch (`pip install torch`) the Keras rows alone are printed.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Runners = dict[str, Callable[[], Any]]

TORCH = "PyTorch"
RATE = 1e-3
SEED = 0


def main() -> None:
    """Read the options, compare outputs, then time."""
    options = _options()
    # Read when TensorFlow is imported, so nothing above this line may do so.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    images, masks = _batch(options)
    weights, torch_runs = _torch(options, images, masks)
    keras_runs = _keras(options, images, masks, weights)
    print(f"{options.classes} classes, width {options.width}, depth {options.depth}, batch {options.batch},"
          f" {options.size} x {options.size} pixels, {options.optimizer}, {options.threads} threads,"
          f" load average {os.getloadavg()[0]:.1f}")  # fmt: skip
    if torch_runs:
        _compare(keras_runs, torch_runs)
    for work in ("training step", "inference"):
        runs = {name: every[work] for name, every in {**keras_runs, **torch_runs}.items()}
        _report(work, _times(runs, options.repeat))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16, help="filters of row 0; 64 is the full network")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--size", type=int, default=128, help="side in pixels")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--classes", type=int, default=1)
    parser.add_argument("--optimizer", choices=("sgd", "adamw"), default="sgd")
    parser.add_argument("--repeat", type=int, default=5, help="timed repetitions, after one that is not")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-jit", action="store_true", help="leave XLA out, which compiles for a minute or more")
    return parser.parse_args()


def _batch(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Images in 0..1 and masks of 0 or 1, both (batch, height, width, channels)."""
    rng = np.random.default_rng(SEED)
    sides = (options.batch, options.size, options.size)
    return rng.uniform(0, 1, (*sides, 3)).astype("float32"), rng.integers(0, 2, (*sides, options.classes)).astype("f4")


def _torch(options: argparse.Namespace, images: np.ndarray, masks: np.ndarray) -> tuple[Any, dict[str, Runners]]:
    """The weights as a state dict, and PyTorch's runners; both empty without PyTorch."""
    try:
        import torch
        from torch_reference import Reference
    except ImportError:
        print("PyTorch is not installed (pip install torch): Keras alone is timed.")
        return None, {}
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    widths = tuple(options.width * 2**row for row in range(options.depth + 1))
    network = Reference(widths, classes=options.classes)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x, y = (torch.from_numpy(array).movedim(-1, 1).contiguous() for array in (images, masks))
    optimizer = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[options.optimizer](network.parameters(), lr=RATE)

    def step() -> float:
        network.train()
        optimizer.zero_grad(set_to_none=True)
        losses = [torch.nn.functional.binary_cross_entropy_with_logits(one, y) for one in network(x).values()]
        loss = torch.stack(losses).sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict() -> dict[str, np.ndarray]:
        network.eval()
        with torch.inference_mode():
            return {head: one.movedim(1, -1).numpy() for head, one in network(x).items()}

    return state, {TORCH: {"training step": step, "inference": predict}}


def _keras(options: argparse.Namespace, images: np.ndarray, masks: np.ndarray, weights: Any) -> dict[str, Runners]:
    """Keras' runners, by name."""
    import keras
    import tensorflow as tf

    from keras_unetpp.graph.build import build
    from keras_unetpp.interop import load_torch
    from keras_unetpp.training.losses import CrossEntropy

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    keras.utils.set_random_seed(SEED)
    shape = (options.size, options.size, 3)
    runners = {}
    for name, jit in {"Keras": False, "Keras, XLA": True}.items():
        if jit and options.no_jit:
            continue
        model = build(shape, preset="reference", width=options.width, depth=options.depth, classes=options.classes)
        if weights is not None:
            load_torch(model, weights)
        optimizer = {"sgd": keras.optimizers.SGD, "adamw": keras.optimizers.AdamW}[options.optimizer](RATE)
        model.compile(optimizer, CrossEntropy(from_logits=True, multi_label=True), jit_compile=jit)
        runners[name] = _keras_runners(model, images, masks)
    return runners


def _keras_runners(model: Any, images: np.ndarray, masks: np.ndarray) -> Runners:
    def step() -> float:
        model.reset_metrics()
        return float(model.train_on_batch(images, masks, return_dict=True)["loss"])

    return {"training step": step, "inference": lambda: model.predict_on_batch(images)}


def _compare(keras_runs: dict[str, Runners], torch_runs: dict[str, Runners]) -> None:
    """Print how far outputs and the first loss are from PyTorch's; the weights take one step."""
    expected = torch_runs[TORCH]["inference"]()
    loss = torch_runs[TORCH]["training step"]()
    for name, runs in keras_runs.items():
        found = runs["inference"]()
        worst = max(float(np.abs(found[head] - expected[head]).max()) for head in expected)
        print(f"{name}: outputs differ from PyTorch's by at most {worst:.1e} (of"
              f" {max(float(np.abs(one).max()) for one in expected.values()):.2g}), the loss by"
              f" {abs(runs['training step']() - loss):.1e} (of {loss:.4f})")  # fmt: skip


def _times(runs: Runners, repeat: int) -> dict[str, np.ndarray]:
    """Milliseconds of each repetition, by runner: (2, repeat), of the clock and of the processor."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for turn in range(repeat + 1):
        for name, run in runs.items():
            clock, processor = time.perf_counter(), time.process_time()
            run()
            if turn:
                times[name].append((time.perf_counter() - clock, time.process_time() - processor))
    return {name: 1000 * np.transpose(own) for name, own in times.items()}


def _report(work: str, times: dict[str, np.ndarray]) -> None:
    print(f"\n{work:16}{'median':>10}{'least':>10}{'/ PyTorch':>10}{'processor':>12}{'/ PyTorch':>10}")
    for name, (clock, processor) in times.items():
        ratios = np.median(times[name] / times[TORCH], axis=1) if TORCH in times else (np.nan, np.nan)
        print(f"{name:16}{np.median(clock):10.1f}{min(clock):10.1f}{ratios[0]:10.2f}"
              f"{np.median(processor):12.1f}{ratios[1]:10.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
