"""What a network is: fields, presets, topology, layers, cost. Standard library only."""

from keras_unetpp.spec.cost import Cost, cost, node_costs
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.levels import LevelTable, level_costs
from keras_unetpp.spec.plan import plan
from keras_unetpp.spec.presets import PRESETS
from keras_unetpp.spec.receptive import receptive_radius
from keras_unetpp.spec.topology import Node, draw, needed, nodes, reads

__all__ = [
    "PRESETS",
    "Cost",
    "LevelTable",
    "Node",
    "Spec",
    "cost",
    "draw",
    "level_costs",
    "needed",
    "node_costs",
    "nodes",
    "plan",
    "reads",
    "receptive_radius",
]
