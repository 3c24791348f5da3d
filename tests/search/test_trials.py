from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from harness.search.setup import read_search, set_up
from harness.search.study import open_storage, open_study
from harness.search.trials import ask
from harness.search.workers import WORKER, Watch, Worker

from .small import write_spec

ME = Worker("here", 1, 1)


@pytest.fixture
def ready(tmp_path):
    experiment, source = read_search(write_spec(tmp_path, trials=8, batch=3))
    return set_up(experiment, source, tmp_path)


@pytest.fixture
def storage(ready):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened = open_storage(ready.storage)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def study(ready, storage):
    return open_study(storage, "small", ready.settings, ready.identity, ready.storage)


def asked(study, ready):
    return [trial.number for trial in ask(study, ready.settings, ready.space, ME)]


def test_batches_are_asked_for_until_there_are_enough(study, ready):
    assert [asked(study, ready) for _ in range(4)] == [[0, 1, 2], [3, 4, 5], [6, 7], []]
    trials = study.get_trials()
    assert all(set(trial.params) == set(ready.space.distributions) for trial in trials)
    assert {trial.user_attrs[WORKER] for trial in trials} == {str(ME)}
    doses = [trial.params["intervention.alpha"] for trial in trials]
    assert len(set(doses)) == 8


def test_what_was_left_comes_first_and_the_batch_ends_where_it_would_have(study, storage, ready):
    asked(study, ready)
    drawn = [trial.params for trial in study.get_trials()]
    study.tell(0, 1.0)
    Watch(study, storage).release([1, 2])
    assert asked(study, ready) == [1, 2]
    assert [trial.params for trial in study.get_trials()] == drawn
    assert asked(study, ready) == [3, 4, 5]


def test_a_batch_that_died_while_it_was_asked_for_is_filled_up(study, storage, ready):
    first = study.ask()
    Watch(study, storage).release([first.number])
    assert asked(study, ready) == [0, 1, 2]


def test_one_too_many_is_given_back_and_said_to_be(study, ready, monkeypatch):
    """Another worker asks for the last one between a look at the study and the question."""
    for _ in range(2):
        asked(study, ready)
    seen = study.get_trials(deepcopy=False)
    study.ask()
    study.ask()
    monkeypatch.setattr(study, "get_trials", lambda **_: seen)
    assert asked(study, ready) == []
    last = optuna.load_study(study_name="small", storage=ready.storage).get_trials()[-1]
    assert (last.number, last.state) == (8, TrialState.FAIL)
    assert last.user_attrs["error"].startswith("one too many")
