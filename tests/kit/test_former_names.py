import subprocess
import sys
from types import FunctionType

import pytest
from sampling import sampled

import keras_unetpp as kup

USES = {
    "imports of parts": "import keras_unetpp.exporting.place, keras_unetpp.tuning.budget",
    "the functions from their packages": (
        "from keras_unetpp.export import export; from keras_unetpp.search import search, Budget, Space\n"
        "assert export is kup.export and search is kup.search and Budget is kup.Budget"
    ),
    "modules within": (
        "from keras_unetpp.export.serving import write_config; from keras_unetpp.search.budget import Budget\n"
        "from keras_unetpp.exporting import serving; import importlib\n"
        "assert write_config is serving.write_config and Budget is kup.Budget\n"
        "assert importlib.import_module('keras_unetpp.export.serving') is serving\n"
        "assert serving.__spec__.name == serving.__name__ == 'keras_unetpp.formats.saved_model.serving'\n"
        "assert importlib.reload(serving) is serving"
    ),
    "what ran exported files": (
        "from keras_unetpp.artefacts import Artefact, onnx, operations, worker; import keras_unetpp.artefacts.tflite\n"
        "from keras_unetpp.artefacts.runtime import Opened; import keras_unetpp.saved_models as models\n"
        "from keras_unetpp.formats import keras_file, process, runtime, saved_model\n"
        "from keras_unetpp.formats.onnx import run\n"
        "assert Artefact is keras_unetpp.artefacts.Artefact is kup.Artefact and Opened is runtime.Opened\n"
        "assert onnx is run and operations is saved_model.operations and worker is process.worker\n"
        "assert keras_unetpp.artefacts.tflite.__name__ == 'keras_unetpp.formats.tflite.run' and models is keras_file"
    ),
    "parts of a package whose names are in a module": (
        "import warnings; warnings.simplefilter('error', ImportWarning)\n"
        "import keras_unetpp.artefacts.tflite, keras_unetpp.artefacts.runtime, keras_unetpp.export.place"
    ),
    "what wrote exported files": (
        "from keras_unetpp.export import onnx_quantize, signature, tflite\n"
        "from keras_unetpp.exporting.onnx import write\n"
        "from keras_unetpp.formats import functions; import keras_unetpp.formats.tflite as folder\n"
        "assert tflite is folder.write and signature is functions and write.__module__.endswith('formats.onnx.write')"
    ),
    "the package's former name": "import keras_unetpp.export, keras_unetpp.search",
    "parts by a name of one's own": (
        "import keras_unetpp.export.place as place, keras_unetpp.search.budget as budget\n"
        "import keras_unetpp.exporting.place\n"
        "assert place is keras_unetpp.exporting.place and budget.Budget is kup.Budget"
    ),
    "all names": "from keras_unetpp import *; assert export is kup.export",
}


@pytest.mark.parametrize(
    "use", sampled(USES, ["modules within", "what ran exported files", "parts by a name of one's own"])
)
def test_functions_stay_functions_whatever_is_imported(use):
    after = "import types; assert all(type(one) is types.FunctionType for one in (kup.export, kup.search))"
    before = "import keras_unetpp as kup"
    run = subprocess.run([sys.executable, "-c", f"{before}\n{USES[use]}\n{after}"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_doors_are_functions_that_say_what_they_do():
    assert (type(kup.export), type(kup.search)) == (FunctionType, FunctionType)
    assert kup.export.__doc__.startswith("Write a model")
    assert {"export", "search"} <= {*dir(kup)}


def test_what_was_never_there_is_not():
    with pytest.raises(ModuleNotFoundError, match=r"keras_unetpp\.exporting\.nothing"):
        __import__("keras_unetpp.export.nothing")
    with pytest.raises(ImportError, match="nothing"):
        exec("from keras_unetpp.search import nothing")
