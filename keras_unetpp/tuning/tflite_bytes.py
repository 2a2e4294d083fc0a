"""An upper bound of the size of a .tflite file, by closed form over the plan's rows. Standard library only.

The file holds the weights once, in float32, and a graph for each level and for `mean`. What a row of the graph takes
was measured on exported files, and a test compares the bound with real ones.
"""

from functools import lru_cache

from keras_unetpp.spec.cost import BYTES_PER_VALUE, cost
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.plan import MEAN, Level, Row, plan, rows_of, structure, value, variables

FILE = 3_000
"""Header, metadata and signatures, without names of classes."""

ROW = 215
"""Operators, tensors and names of one row of a graph."""

MORE = {"group": 2_100, "instance": 2_000, "layer": 1_600, "standardize": 1_900}
"""What normalisation takes on top, as it becomes several operators with constants of their own."""

ACTIVATION = {"relu": 0, "relu6": 0}
"""What activations take on top; the others become one operator or several, up to `ACTIVATION_MOST`."""
ACTIVATION_MOST = 950


def tflite_bytes(spec: Spec) -> int:
    """Bytes that the float32 .tflite file of all levels of a network stays below, for any sides.

    Batch normalisation is folded into the convolution before it. Where that convolution is read by others too, levels
    that differ in who reads it store it both ways, so it counts once more for each such reader.
    """
    values = variables(spec)
    by_name = {row.name: row for row in plan(spec)}
    twice = 0
    for name, more in _folded(structure(spec)):
        row = by_name[name]
        inputs = value(by_name[row.reads[0]].channels, values)
        twice += more * (inputs * row.kernel**spec.rank + 1) * value(row.channels, values)
    extra = ACTIVATION.get(spec.activation, ACTIVATION_MOST)
    rows, activations, more = _rows(structure(spec), spec.levels)
    graphs = ROW * rows + more + extra * activations
    return cost(spec).weight_bytes + BYTES_PER_VALUE * twice + graphs + FILE


@lru_cache(maxsize=1024)
def _rows(structure: tuple, levels: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows of all graphs, layers of backbones among them, the activations of these, and what normalisation adds."""
    every: list[Level] = [*levels, *([MEAN] if len(levels) > 1 else [])]
    rows = [row for level in every for row in rows_of(structure, level)]
    more = sum(MORE.get(row.kind, 0) for row in rows)
    return sum(row.tap.layers if row.tap else 1 for row in rows), sum(row.kind == "activation" for row in rows), more


@lru_cache(maxsize=1024)
def _folded(structure: tuple) -> tuple[tuple[str, int], ...]:
    """Names of layers with a kernel that batch normalisation and others read, with the number of the former."""
    readers: dict[str, list[Row]] = {}
    for row in rows_of(structure, None):
        for name in row.reads:
            readers.setdefault(name, []).append(row)
    found = []
    for row in rows_of(structure, None):
        own = readers.get(row.name, [])
        folding = sum(reader.kind == "batch" for reader in own)
        if row.kernel and folding and len(own) > 1:
            found.append((row.name, folding))
    return tuple(found)
