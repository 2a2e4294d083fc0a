"""What a network is: fields, presets, topology, layers, cost. Standard library only."""

from keras_unetpp.spec.cost import Cost, cost, node_costs
from keras_unetpp.spec.fields import Spec
from keras_unetpp.spec.plan import plan
from keras_unetpp.spec.presets import PRESETS
from keras_unetpp.spec.topology import Node, draw, needed, nodes, reads

__all__ = ["PRESETS", "Cost", "Node", "Spec", "cost", "draw", "needed", "node_costs", "nodes", "plan", "reads"]
