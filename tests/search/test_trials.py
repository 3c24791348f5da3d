from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from harness.search.leases import WORKER, Orphans, Worker
from harness.search.setup import read_search, set_up
from harness.search.study import open_storage, open_study
from harness.search.trials import ask, counted
from tests.search.small import write_spec

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


@pytest.fixture
def watch(study, storage):
    return Orphans(study, storage)


@pytest.fixture
def asked(study, ready, watch):
    def numbers(trials=8):
        settings = ready.settings.model_copy(update={"trials": trials})
        found = ask(study, settings, ready.space, ME, watch.put_back)
        return [trial.number for trial in found]

    return numbers


def test_batches_are_asked_for_until_there_are_enough(study, ready, asked):
    assert [asked() for _ in range(4)] == [[0, 1, 2], [3, 4, 5], [6, 7], []]
    trials = study.get_trials()
    assert all(set(trial.params) == set(ready.space.distributions) for trial in trials)
    assert {trial.user_attrs[WORKER] for trial in trials} == {str(ME)}
    assert len({trial.params["intervention.alpha"] for trial in trials}) == 8


def test_what_was_left_comes_first_and_the_batch_ends_where_it_would_have(study, watch, asked):
    asked()
    drawn = [trial.params for trial in study.get_trials()]
    study.tell(0, 1.0)
    watch.release([1, 2])
    assert asked() == [1, 2]
    assert [trial.params for trial in study.get_trials()] == drawn
    assert asked() == [3, 4, 5]


def test_a_batch_that_died_while_it_was_asked_for_is_filled_up(study, watch, asked):
    watch.release([study.ask().number])
    assert asked() == [0, 1, 2]


def test_one_too_many_waits_until_more_are_asked_for(study, ready, asked, monkeypatch):
    """Another worker takes the last one between a look at the study and the question."""
    assert [asked() for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    whole = study.get_trials
    looks = iter([whole(deepcopy=False)])
    study.ask()
    study.ask()
    monkeypatch.setattr(study, "get_trials", lambda **_: next(looks, None) or whole())
    assert asked() == []
    surplus = whole()[-1]
    assert (surplus.number, surplus.state) == (8, TrialState.WAITING)
    assert counted(whole(), ready.settings) == whole()[:-1]
    assert asked() == []
    assert asked(trials=10) == [8]
    assert asked(trials=10) == [9]
