"""Which operations of a network lose most by 8 bits; what is told to the quantisers of TFLite and of ONNX alike."""

from collections.abc import Sequence, Set
from typing import Any, NamedTuple

REDUCTION, ARITHMETIC, ROOT, CONVOLUTION, OTHER = "reduction", "arithmetic", "root", "convolution", "other"
"""Kinds of operations; a root, or what divides by one, is arithmetic that only normalisation needs."""


class Step(NamedTuple):
    """An operation: its kind, and the values that it reads and writes."""

    kind: str
    reads: Set[Any]
    writes: Set[Any]


def statistics(steps: Sequence[Step]) -> set[int]:
    """Indices of the operations that normalise by an image's own mean and variance.

    Variances and their roots span more than 8 bits can tell apart: quantised, a network that normalises each image
    sees dark images as flat. These are the means, and all arithmetic that reads them, where a root is among it; a mean
    that only weighs channels, as in squeeze-and-excitation, is none.

    Args:
        steps: in the order in which they run.
    """
    found: set[int] = set()
    for start, step in enumerate(steps):
        if step.kind != REDUCTION or start in found:
            continue
        chain, values = {start}, set(step.writes)
        for index in range(start + 1, len(steps)):
            if steps[index].kind not in (CONVOLUTION, OTHER) and steps[index].reads & values:
                chain.add(index)
                values |= steps[index].writes
        if any(steps[index].kind == ROOT for index in chain):
            found |= chain
    return found


def ends(steps: Sequence[Step], outputs: Set[Any], first: bool = True, last: bool = True) -> set[Any]:
    """Values at the ends of a network: what its first two convolutions read; each head's last convolution and on.

    Args:
        steps: in the order in which they run.
        outputs: values that the network gives.
        first: the one end.
        last: the other.
    """
    start = next(step for step in steps if step.kind == CONVOLUTION)
    spared = {*start.reads, *start.writes} if first else set()
    wanted = set(outputs) if last else set()
    for step in reversed(steps):
        if step.writes & wanted:
            spared |= step.writes
            wanted |= set() if step.kind == CONVOLUTION else step.reads
    return spared
