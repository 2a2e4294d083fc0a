"""UNet++ for Keras: build one from a Spec, train it once, cut out the level that fits, ship it.

Everything here is imported on first use, so that `import keras_unetpp.spec` needs no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_unetpp.kit.former_names import keep_former_names
from keras_unetpp.kit.registration import register

if TYPE_CHECKING:
    from keras_unetpp import interop, zoo
    from keras_unetpp.data.convert import convert_data
    from keras_unetpp.data.crops import read_folder
    from keras_unetpp.data.data_folder import DataFolder
    from keras_unetpp.data.sharing import split_folder
    from keras_unetpp.data.summary import describe_data
    from keras_unetpp.exporting import export
    from keras_unetpp.formats.artefact import Artefact
    from keras_unetpp.graph.build import build
    from keras_unetpp.graph.encoders.registry import backbones, register_backbone
    from keras_unetpp.graph.model import UNetPP
    from keras_unetpp.kit.errors import InputError
    from keras_unetpp.prediction.folder import predict_folder
    from keras_unetpp.prediction.predictor import Predictor, segment
    from keras_unetpp.pruning import choose, levels, prune
    from keras_unetpp.spec import Spec, cost
    from keras_unetpp.training import losses, metrics
    from keras_unetpp.training.evaluate import evaluate
    from keras_unetpp.training.finetune import GradualUnfreezing, freeze_encoder, unfreeze_encoder
    from keras_unetpp.training.fit import fit
    from keras_unetpp.training.recipe import Recipe
    from keras_unetpp.tuning import search
    from keras_unetpp.tuning.budget import Budget
    from keras_unetpp.tuning.hypermodel import UNetPPHyperModel
    from keras_unetpp.tuning.result import SearchResult
    from keras_unetpp.zoo import load

__version__ = "0.2.0.dev0"

_HOME = {
    "Artefact": "formats.artefact",
    "GradualUnfreezing": "training.finetune",
    "Budget": "tuning.budget",
    "DataFolder": "data.data_folder",
    "InputError": "kit.errors",
    "Predictor": "prediction.predictor",
    "Recipe": "training.recipe",
    "SearchResult": "tuning.result",
    "Spec": "spec",
    "UNetPP": "graph.model",
    "backbones": "graph.encoders.registry",
    "UNetPPHyperModel": "tuning.hypermodel",
    "build": "graph.build",
    "choose": "pruning",
    "convert_data": "data.convert",
    "cost": "spec",
    "describe_data": "data.summary",
    "evaluate": "training.evaluate",
    "export": "exporting",
    "fit": "training.fit",
    "freeze_encoder": "training.finetune",
    "levels": "pruning",
    "load": "zoo",
    "predict_folder": "prediction.folder",
    "prune": "pruning",
    "read_folder": "data.crops",
    "register_backbone": "graph.encoders.registry",
    "search": "tuning",
    "segment": "prediction.predictor",
    "split_folder": "data.sharing",
    "unfreeze_encoder": "training.finetune",
}
_MODULES = {
    "interop": "interop",
    "losses": "training.losses",
    "metrics": "training.metrics",
    "zoo": "zoo",
}

__all__ = [*_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})


keep_former_names()
register()
