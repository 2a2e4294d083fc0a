"""An upper bound of the size of a .tflite file, by closed form over the plan's rows. Standard library only.

The file holds the weights once, in float32, and a graph for each level and for `mean`. What a row of the graph takes
was measured on exported files, and a test compares the bound with real ones.
"""

from keras_unetpp.spec.choices import remembered
from keras_unetpp.spec.cost import BYTES_PER_VALUE, cost, sites
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.forms import Term, collect
from keras_unetpp.spec.level import MEAN, Level
from keras_unetpp.spec.plan import rows_of, structure, variables
from keras_unetpp.spec.rows import Row, Structure

FILE = 3_700
"""Header, metadata and signatures, without names of classes."""

ROW = {2: 300, 3: 480}
"""Rank -> operators, tensors and names of one row of a graph; in volumes, bias and activation are operators too."""


def tflite_bytes(spec: Spec) -> int:
    """Bytes that the float32 .tflite file of all levels of a network stays below, for any sides.

    Batch normalisation is folded into the convolution before it. Where that convolution is read by others too, levels
    that differ in who reads it store it both ways, so it counts once more for each such reader.
    """
    values = variables(spec)
    besides = sum(factor * values[i] * values[j] for i, j, factor in _besides(structure(spec)))
    return cost(spec).weight_bytes + BYTES_PER_VALUE * int(besides) + _graphs(structure(spec)) + FILE


@remembered(1024)
def _graphs(structure: tuple) -> int:
    """Bytes of the graphs of all levels and of `mean`: of each layer, and what operations take on top."""
    chosen = Structure(*structure)
    levels = chosen.levels
    every: list[Level] = [*levels, *([MEAN] if len(levels) > 1 else [])]
    operations = [row.operation for level in every for row in rows_of(structure, level)]
    return sum(ROW[chosen.rank] * operation.layers + operation.tflite for operation in operations)


@remembered(1024)
def _besides(structure: tuple) -> tuple[Term, ...]:
    """Values besides the parameters: those of operations, and weights that are stored both ways.

    These are weights with a normalisation that reads them in them, which others read without it.
    """
    rows = rows_of(structure, None)
    readers: dict[str, list[Row]] = {}
    for row in rows:
        for name in row.reads:
            readers.setdefault(name, []).append(row)
    located = sites(structure)
    found: list[Term] = []
    for row in rows:
        own = readers.get(row.name, [])
        found += row.operation.tflite_values(located[row.name])
        if row.operation.absorbs and len(own) > 1:
            times = sum(reader.operation.absorbed for reader in own)
            found += ((i, j, factor * times) for i, j, factor in row.operation.trained(located[row.name]))
    return collect(found)
