"""Which worker has which trial, and what becomes of the trials of a worker that died.

Every worker beats: it counts up an attribute of the study while it lives. A trial that a worker was
killed over is put back into the queue under its own number, with the parameters it had, so that it
is run once and counted once. Dead is a process of this machine that is gone, or a worker elsewhere
whose count stood still for longer than `LEASE` while another worker watched: clocks are
never compared.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import optuna
import psutil
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

#: Seconds between two beats, and without one until a worker elsewhere counts as dead.
BEAT, LEASE = 10.0, 90.0
#: Seconds for which a new trial may be without a name: a worker signs what it has asked for.
_UNSIGNED = 5.0
WORKER = "worker"
_BEATS = "beats of "


@dataclass(frozen=True)
class Worker:
    """A process that runs trials; its text names it in the study."""

    host: str
    process: int
    born: int
    """When the process began, in seconds: numbers of processes come back."""

    @classmethod
    def this(cls) -> Self:
        """The process that asks."""
        born = int(psutil.Process().create_time())
        return cls(socket.gethostname(), os.getpid(), born)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The worker that a study names."""
        host, process, born = text.rsplit(":", 2)
        return cls(host, int(process), int(born))

    @property
    def is_gone(self) -> bool:
        """Whether it is known to be dead: a process of this machine that is not there any more."""
        if self.host != socket.gethostname():
            return False
        try:
            process = psutil.Process(self.process)
            # A zombie has been killed, and waits for its parent to look.
            return int(process.create_time()) != self.born or process.status() == "zombie"
        except psutil.NoSuchProcess:
            return True

    def __str__(self) -> str:
        return f"{self.host}:{self.process}:{self.born}"


class Heart:
    """Counts up this worker's attribute of the study from a thread, until it is left."""

    def __init__(self, study: optuna.Study, worker: Worker, every: float = BEAT) -> None:
        self._study = study
        self._name = f"{_BEATS}{worker}"
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="titrate beats", daemon=True)

    def __enter__(self) -> Self:
        self._study.set_user_attr(self._name, 0)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        count = 0
        while not self._end.wait(self._every):
            count += 1
            with suppress(SQLAlchemyError, StorageInternalError):  # one missed beat is harmless
                self._study.set_user_attr(self._name, count)


@dataclass
class Orphans:
    """Finds the running trials of dead workers, and puts them back into the queue.

    Args:
        study: Whose trials.
        storage: The study's.
        lease: Seconds without a beat after which a worker elsewhere is dead.
    """

    study: optuna.Study
    storage: BaseStorage
    lease: float = LEASE
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def queue_again(self) -> list[int]:
        """Put the trials of dead workers back; returns their numbers."""
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        beats = self.study.user_attrs
        return [
            trial.number
            for trial in running
            if self._is_dead(trial.number, trial.user_attrs.get(WORKER), beats)
            and self.put_back(trial.number)
        ]

    def release(self, numbers: Iterable[int]) -> None:
        """Put back what this worker will not finish: it is interrupted, or its engine broke."""
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for number in {trial.number for trial in running} & set(numbers):
            self.put_back(number)

    def _is_dead(self, number: int, owner: str | None, beats: Mapping[str, int]) -> bool:
        if owner is None:
            return self._stood_still(f"trial {number}", 0, min(_UNSIGNED, self.lease))
        worker = Worker.parse(owner)
        if worker.host == socket.gethostname():
            return worker.is_gone
        return self._stood_still(owner, beats.get(f"{_BEATS}{owner}", 0), self.lease)

    def _stood_still(self, name: str, count: int, lease: float) -> bool:
        """Whether a count has been seen to be the same for so many seconds."""
        now = time.monotonic()
        before, since = self._seen.get(name, (None, now))
        if count != before:
            self._seen[name] = count, now
            return lease <= 0
        return now - since > lease

    def put_back(self, number: int) -> bool:
        """Let a trial wait for a worker again, as it is; whether it was not finished."""
        study = self.storage.get_study_id_from_name(self.study.study_name)
        trial = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        try:
            return self.storage.set_trial_state_values(trial, TrialState.WAITING)
        except UpdateFinishedTrialError:
            return False  # it was not dead after all, and has told its value
