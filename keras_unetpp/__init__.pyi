"""What is public: the one list of it, for type checkers and for `__init__.py`."""

from keras_unetpp import interop as interop
from keras_unetpp import zoo as zoo
from keras_unetpp.data.convert import convert_data as convert_data
from keras_unetpp.data.crops import read_folder as read_folder
from keras_unetpp.data.data_folder import DataFolder as DataFolder
from keras_unetpp.data.sharing import split_folder as split_folder
from keras_unetpp.data.summary import describe_data as describe_data
from keras_unetpp.exporting import export as export
from keras_unetpp.formats.artefact import Artefact as Artefact
from keras_unetpp.graph.build import build as build
from keras_unetpp.graph.encoders.registry import backbones as backbones
from keras_unetpp.graph.encoders.registry import register_backbone as register_backbone
from keras_unetpp.graph.model import UNetPP as UNetPP
from keras_unetpp.kit.errors import InputError as InputError
from keras_unetpp.kit.errors import InputWarning as InputWarning
from keras_unetpp.plotting import plot as plot
from keras_unetpp.prediction.folder import predict_folder as predict_folder
from keras_unetpp.prediction.predictor import Predictor as Predictor
from keras_unetpp.prediction.predictor import segment as segment
from keras_unetpp.pruning import choose as choose
from keras_unetpp.pruning import levels as levels
from keras_unetpp.pruning import prune as prune
from keras_unetpp.recipe import Recipe as Recipe
from keras_unetpp.spec import Spec as Spec
from keras_unetpp.spec import cost as cost
from keras_unetpp.training import losses as losses
from keras_unetpp.training import metrics as metrics
from keras_unetpp.training.evaluate import evaluate as evaluate
from keras_unetpp.training.finetune import GradualUnfreezing as GradualUnfreezing
from keras_unetpp.training.finetune import freeze_encoder as freeze_encoder
from keras_unetpp.training.finetune import unfreeze_encoder as unfreeze_encoder
from keras_unetpp.training.fit import fit as fit
from keras_unetpp.tuning import search as search
from keras_unetpp.tuning.budget import Budget as Budget
from keras_unetpp.tuning.hypermodel import UNetPPHyperModel as UNetPPHyperModel
from keras_unetpp.tuning.result import SearchResult as SearchResult
from keras_unetpp.zoo import load as load

__version__: str
