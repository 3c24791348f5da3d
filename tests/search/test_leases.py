from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from harness.search.leases import WORKER, Heart, Orphans, Worker
from harness.search.study import open_storage


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    yield opened
    opened.engine.dispose()


@pytest.fixture
def study(storage):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(storage=storage, study_name="s")


def begun(study, owner):
    """A trial that a worker has begun, with its value drawn."""
    trial = study.ask()
    if owner is not None:
        trial.set_user_attr(WORKER, str(owner))
    return trial.suggest_float("x", 0, 1)


def states(study):
    return [trial.state for trial in study.get_trials()]


def killed() -> Worker:
    """A worker whose process has been killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = replace(Worker.this(), process=process.pid)
    import psutil

    worker = replace(worker, born=int(psutil.Process(process.pid).create_time()))
    assert not worker.is_gone
    process.kill()
    process.communicate()
    return worker


def test_a_worker_is_told_from_one_of_the_same_number():
    own = Worker.this()
    assert Worker.parse(str(own)) == own
    assert not own.is_gone
    assert replace(own, born=own.born - 100).is_gone
    assert killed().is_gone


def test_a_dead_workers_trial_is_queued_again_as_it_was(study, storage):
    drawn = begun(study, killed())
    mine = begun(study, Worker.this())
    assert Orphans(study, storage).queue_again() == [0]
    assert states(study) == [TrialState.WAITING, TrialState.RUNNING]
    again = study.ask()
    assert (again.number, again.suggest_float("x", 0, 1)) == (0, drawn)
    assert again.suggest_float("x", 0, 1) != mine
    study.tell(again, 1.0)
    assert len(study.trials) == 2


def test_a_finished_trial_is_left_alone(study, storage):
    begun(study, killed())
    study.tell(0, 1.0)
    assert Orphans(study, storage).queue_again() == []
    assert states(study) == [TrialState.COMPLETE]


def test_a_worker_elsewhere_is_dead_when_its_count_stands_still(study, storage):
    elsewhere = Worker("elsewhere", 1, 1)
    begun(study, elsewhere)
    patient, hasty = Orphans(study, storage, lease=3600), Orphans(study, storage, lease=-1)
    study.set_user_attr(f"beats of {elsewhere}", 1)
    assert patient.queue_again() == []
    assert patient.queue_again() == []
    assert hasty.queue_again() == [0]


def test_a_worker_elsewhere_that_beats_is_alive(study, storage):
    elsewhere = Worker("elsewhere", 1, 1)
    begun(study, elsewhere)
    watch = Orphans(study, storage, lease=1e-9)
    for count in range(4):
        study.set_user_attr(f"beats of {elsewhere}", count)
        assert watch.queue_again() == []
    assert watch.queue_again() == [0]


def test_an_unsigned_trial_is_given_time(study, storage):
    begun(study, None)
    assert Orphans(study, storage, lease=3600).queue_again() == []
    assert Orphans(study, storage, lease=-1).queue_again() == [0]


def test_what_is_released_is_queued_and_what_is_done_stays(study, storage):
    for _ in range(2):
        begun(study, Worker.this())
    study.tell(0, 1.0)
    Orphans(study, storage).release([0, 1])
    assert states(study) == [TrialState.COMPLETE, TrialState.WAITING]


def test_a_heart_counts_until_it_is_left(study):
    own = Worker.this()
    name = f"beats of {own}"
    with Heart(study, own, every=1e-3):
        assert study.user_attrs[name] >= 0
        while study.user_attrs[name] < 3:
            pass
    count = study.user_attrs[name]
    assert count >= 3
    assert study.user_attrs[name] == count
