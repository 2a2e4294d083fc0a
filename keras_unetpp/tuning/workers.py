"""Who draws trials and who runs them: one process, or KerasTuner's own chief and workers on several machines."""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_unetpp.compat.keras_tuner import answer, ask_for, client
from keras_unetpp.kit.errors import InputError
from keras_unetpp.tuning.hypermodel import OBJECTIVE
from keras_unetpp.tuning.outcome import Outcome

VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
PATIENCE = 600
"""Seconds that a worker waits for a chief that does not answer."""

IDLE = 1.0
"""Seconds until a worker for which there was no trial asks again."""


class Role(NamedTuple):
    """What this process does.

    Attributes:
        tuner_id: its name among the workers.
        address: of the chief, host:port; empty if there is one process only.
        chief: whether it hands out trials and runs none.
    """

    tuner_id: str
    address: str
    chief: bool

    @property
    def worker(self) -> bool:
        """Whether it runs trials that a chief hands out."""
        return bool(self.address) and not self.chief


def role() -> Role:
    """The role that KerasTuner's environment variables give this process.

    Raises:
        InputError: only some of them are set.
    """
    found = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    if "KERASTUNER_ORACLE_IP" not in found and "KERASTUNER_ORACLE_PORT" not in found:
        return Role(found.get("KERASTUNER_TUNER_ID", "tuner0"), "", False)
    missing = [name for name in VARIABLES if name not in found]
    if missing:
        raise InputError(f"A search on several machines needs {', '.join(VARIABLES)}. Missing: {', '.join(missing)}.")
    name, host, port = (found[variable] for variable in VARIABLES)
    return Role(name, f"{host}:{port}", "chief" in name)


def serve(oracle: Any, address: str) -> None:
    """Hand out trials to workers until all of them have been told that there are none left.

    Raises:
        InputError: the address cannot be listened on.
    """
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    server = grpc.server(ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)])
    answer(server, oracle)
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise InputError(f"Cannot listen on {address}. Is another chief running, or the address another machine's?")
    server.start()
    try:
        while not oracle.finished():
            time.sleep(0.2)
    finally:
        server.stop(grace=5).wait()


class Chief:
    """The chief's oracle as a worker sees it: it waits for a chief that is being restarted.

    Args:
        oracle: one made as the chief's was.
        role: of this worker.

    Raises:
        InputError: no chief answers.
    """

    def __init__(self, oracle: Any, role: Role) -> None:
        import grpc

        self.address, self.error = role.address, grpc.RpcError
        self.client = client(oracle, PATIENCE)
        self._call(self.client.get_space)

    def create_trial(self, tuner_id: str) -> Any:
        """A trial to run."""
        return self._call(self.client.create_trial, tuner_id)

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Any:
        """Report a trial's score."""
        return self._call(self.client.update_trial, trial_id, metrics, step)

    def end_trial(self, trial: Any) -> None:
        """Report how a trial ended."""
        self._call(self.client.end_trial, trial)

    def beat(self, trial_id: str) -> None:
        """Give a sign of life; without a chief there is none to give it to."""
        try:
            ask_for(self.client, trial_id, timeout=5)
        except self.error:
            return

    def _call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return call(*arguments)
            except self.error as error:
                if time.monotonic() > until:
                    raise InputError(
                        f"No chief has answered at {self.address} for {PATIENCE} s. Start it, or see whether the"
                        " search is over."
                    ) from error
                time.sleep(IDLE)


def work(oracle: Any, tuner_id: str, run: Callable[[Any], Outcome | None]) -> None:
    """Run trials until there are none left.

    Args:
        oracle: that hands them out.
        tuner_id: of this worker.
        run: trains and scores a trial; None if another worker has taken it over.
    """
    while True:
        trial = oracle.create_trial(tuner_id)
        if trial.status == "STOPPED":
            return
        if trial.status == "IDLE":
            time.sleep(IDLE)
            continue
        outcome = run(trial)
        if outcome is None:
            continue
        if outcome.failed:
            trial.status, trial.message = "FAILED", outcome.failed
        else:
            oracle.update_trial(trial.trial_id, {OBJECTIVE: outcome.best.iou}, step=outcome.best_epoch)
            trial.status = "COMPLETED"
        oracle.end_trial(trial)
