"""Search under a budget that no trial breaks; each trial scores all its levels."""

from keras_unetpp.tuning.budget import Budget
from keras_unetpp.tuning.result import Candidate, SearchResult, collect
from keras_unetpp.tuning.run import search
from keras_unetpp.tuning.space import Space

__all__ = ["Budget", "Candidate", "SearchResult", "Space", "collect", "search"]
