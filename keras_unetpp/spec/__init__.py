"""What a network is: fields, presets, tables of design choices, topology, layers, cost. Standard library only."""

from keras_unetpp.spec.attention import ATTENTIONS
from keras_unetpp.spec.backbones import Backbone, Tap
from keras_unetpp.spec.context import CONTEXTS
from keras_unetpp.spec.cost import Cost, cost, node_costs
from keras_unetpp.spec.designs import BLOCKS, DOWNS, HEADS, PIXELS
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.levels import LevelTable, level_costs, picture
from keras_unetpp.spec.merges import MERGES
from keras_unetpp.spec.norms import ACTIVATIONS, NORMS
from keras_unetpp.spec.plan import plan
from keras_unetpp.spec.presets import PRESETS
from keras_unetpp.spec.receptive import receptive_radius
from keras_unetpp.spec.topology import SKIPS, Node, draw, needed, nodes, reads
from keras_unetpp.spec.ups import UPS

__all__ = [
    "ACTIVATIONS",
    "ATTENTIONS",
    "BLOCKS",
    "CONTEXTS",
    "DOWNS",
    "HEADS",
    "MERGES",
    "NORMS",
    "PIXELS",
    "PRESETS",
    "SKIPS",
    "UPS",
    "Backbone",
    "Cost",
    "LevelTable",
    "Node",
    "Spec",
    "Tap",
    "cost",
    "draw",
    "level_costs",
    "needed",
    "node_costs",
    "nodes",
    "picture",
    "plan",
    "reads",
    "receptive_radius",
]
