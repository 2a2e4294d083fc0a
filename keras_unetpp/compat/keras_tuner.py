"""Names that KerasTuner does not promise: an oracle's inner state, and how chief and workers talk."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from keras_unetpp.compat.names import PrivateName

SEEN = ("1.4.8",)
_ORACLE, _GRID = "keras_tuner:Oracle", "keras_tuner.oracles:GridSearchOracle"


def _name(path: str, use: str) -> PrivateName:
    return PrivateName("keras-tuner", path, use, SEEN)


SET_FOLDER = _name(f"{_ORACLE}._set_project_dir", "gives a search its folder")
DIRECTORY = _name(f"{_ORACLE}._directory", "is the folder of a search")
FOLDER = _name(f"{_ORACLE}._project_dir", "is where KerasTuner's own files are")
STATE_FILE = _name(f"{_ORACLE}._get_oracle_fname", "names the file of an oracle's state")
SAVE_TRIAL = _name(f"{_ORACLE}._save_trial", "writes a trial down, which here is done whole or not at all")
RETRY = _name(f"{_ORACLE}._retry_queue", "holds the trials that are to be run again")
DUPLICATE = _name(f"{_ORACLE}._duplicate", "tells whether values were tried before")
RANDOM = _name(f"{_ORACLE}._random_values", "draws values that were not tried before")
COMPARE = _name(f"{_GRID}._compare", "orders the points of a grid")
ORDER = _name(f"{_GRID}._ordered_ids", "is the order of a grid's trials")
NEXT = _name(f"{_GRID}._populate_next", "holds the trials of a grid whose neighbours are to be drawn")
SERVICER = _name("keras_tuner.src.distribute.oracle_chief:OracleServicer", "answers workers")
CLIENT = _name("keras_tuner.src.distribute.oracle_client:OracleClient", "asks the chief")
TIMEOUT = _name("keras_tuner.src.distribute.oracle_client:TIMEOUT", "ends a worker's wait for its chief")
MESSAGES = _name("keras_tuner.src.protos:get_service", "makes a request to the chief")
SERVICE = _name("keras_tuner.src.protos:get_service_grpc", "joins an oracle and a server")
PRINTS = _name("keras_tuner.src.engine.conditions:Parent.to_proto", "prints each condition that is sent")
NAMES = (SET_FOLDER, DIRECTORY, FOLDER, STATE_FILE, SAVE_TRIAL, RETRY, DUPLICATE, RANDOM, COMPARE, ORDER, NEXT,
         SERVICER, CLIENT, TIMEOUT, MESSAGES, SERVICE, PRINTS)  # fmt: skip

OF_INSTANCES = (DIRECTORY, RETRY, ORDER, NEXT)
"""Those that an oracle has only once it is made, and has its folder."""

_Base: Any = object


class OpenOracle(_Base):
    """To be mixed into a class of oracles: what such a one keeps to itself, by names of ours."""

    trials: dict[str, Any]

    def set_folder(self, folder: str, project: str) -> None:
        """Keep state and trials in a folder of this name within another."""
        SET_FOLDER.of(self)(folder, project)

    @property
    def folder(self) -> Any:
        """The folder given."""
        return DIRECTORY.of(self)

    @property
    def project_folder(self) -> str:
        """The folder of state and trials within it."""
        return str(FOLDER.of(self))

    @property
    def state_file(self) -> str:
        """The file of the state."""
        return str(STATE_FILE.of(self)())

    def tried(self, values: Any) -> bool:
        """Whether a trial had these values."""
        return bool(DUPLICATE.of(self)(values))

    def values_not_tried(self) -> Any:
        """Values that no trial had; None if there are none left."""
        return RANDOM.of(self)()

    def retry(self, trial_ids: list[str]) -> None:
        """Run these trials again before any others, the last first."""
        RETRY.put(self, trial_ids)

    def reorder_grid(self, started: list[str]) -> None:
        """Put a grid's trials in order, which KerasTuner does not save; of other oracles nothing."""
        if not hasattr(self, ORDER.name):
            return
        compare, order = COMPARE.of(self), type(ORDER.of(self))()

        def compared(one: str, other: str) -> Any:
            return compare(*(self.trials[name].hyperparameters.values for name in (one, other)))

        before = None
        for name in sorted(self.trials, key=functools.cmp_to_key(compared)):
            order.insert(name, before)
            before = name
        ORDER.put(self, order)
        NEXT.put(self, started)

    def write_trial(self, trial: Any) -> None:
        """Write a trial down."""
        raise NotImplementedError

    def _save_trial(self, trial: Any) -> None:
        self.write_trial(trial)


def check_hooks(oracle: Any) -> None:
    """Raise `InputError` unless an oracle writes its trials by the method that `OpenOracle` overrides."""
    SAVE_TRIAL.check(oracle)


def answer(server: Any, oracle: Any) -> None:
    """Let a gRPC server answer workers for an oracle."""
    SERVICE.get()().add_OracleServicer_to_server(SERVICER.get()(oracle), server)


def client(oracle: Any, patience: float) -> Any:
    """What asks the chief, for a worker whose oracle was made as the chief's was.

    Args:
        oracle: that of the worker.
        patience: seconds that a request waits, for KerasTuner's 60 minutes would keep a worker whose chief has gone.
    """
    TIMEOUT.put(import_module(TIMEOUT.path.partition(":")[0]), patience)
    return CLIENT.get()(oracle)


def ask_for(client: Any, trial_id: str, timeout: float) -> None:
    """Ask the chief for a trial and wait no longer than so many seconds; raises what gRPC does."""
    client.stub.GetTrial(MESSAGES.get()().GetTrialRequest(trial_id=trial_id), timeout=timeout)


@contextmanager
def without_prints() -> Iterator[None]:
    """Keep KerasTuner from printing each condition that it sends, and nobody else from printing."""
    module = import_module(PRINTS.get().__module__)

    def nothing(*values: Any, **options: Any) -> None:
        """Takes the place of the built-in function in that one module."""

    module.print = nothing  # type: ignore[attr-defined]
    try:
        yield
    finally:
        vars(module).pop("print", None)
