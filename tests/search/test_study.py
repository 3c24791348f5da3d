from __future__ import annotations

import optuna
import pytest
from sqlalchemy.exc import IntegrityError

from harness.errors import FieldError
from harness.search.study import (
    default_storage,
    hash_seed,
    open_storage,
    open_study,
    sampler_for,
    shown_url,
)
from harness.spec.search import SearchSettings

IDENTITY = {"model": "abc", "search.metric": "exact_match", "search.space": {"x": [1, 2]}}


def settings(**changes):
    content = {
        "space": {"intervention.alpha": {"low": 0, "high": 1}},
        "splits": {"validation": 8, "test": 8},
        "chunk": 4,
    }
    return SearchSettings.model_validate(content | changes)


@pytest.fixture
def url(tmp_path):
    return default_storage(tmp_path, "s")


def opened(url, identity, **changes):
    storage = open_storage(url)
    try:
        return open_study(storage, "s", settings(**changes), identity, url)
    finally:
        storage.engine.dispose()


def test_the_default_storage_lies_below_the_folder(tmp_path, url):
    opened(url, IDENTITY)
    assert (tmp_path / ".titrate" / "search" / "s.db").exists()


def test_a_study_is_found_again_with_other_trials_batches_and_samplers(url):
    opened(url, IDENTITY)
    opened(url, IDENTITY, trials=7, batch=2, sampler="random", pruner="none")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model", "abd", 'its model is "abc", here it is "abd"'),
        ("search.metric", "parsed", 'its search.metric is "exact_match", here it is "parsed"'),
        ("search.space", {"x": [1]}, "its search.space.x is [1, 2], here it is [1]"),
    ],
)
def test_a_study_of_another_experiment_is_refused_by_name(url, field, value, said):
    opened(url, IDENTITY)
    with pytest.raises(FieldError) as found:
        opened(url, IDENTITY | {field: value})
    assert "the study 's' in sqlite:///" in str(found.value)
    assert said in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite:////proc/nowhere/study.db",
        "oracul://host/study",
        "postgresql+psycopg://nobody:secret@127.0.0.1:1/study",
    ],
)
def test_a_storage_that_cannot_be_opened_is_one_line(url):
    with pytest.raises(FieldError) as found:
        open_storage(url)
    assert str(found.value).startswith("search.storage: ")
    assert "cannot be opened: " in str(found.value)
    assert "\n" not in str(found.value)
    assert "secret" not in str(found.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "x.db").write_text("no database at all, but a text that is long enough" * 99)
    with pytest.raises(FieldError, match="cannot be opened: file is not a database"):
        open_storage(f"sqlite:///{tmp_path / 'x.db'}")


def test_passwords_are_not_shown():
    assert shown_url("postgresql://me:secret@h/d") == "postgresql://me:***@h/d"


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "gp", "nsgaii"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_draws_by_seed_and_number_alone(name):
    def drawn(numbers):
        values = []
        for number in numbers:
            study = optuna.create_study()
            study.sampler = sampler_for(settings(sampler=name), number)
            values.append(study.ask().suggest_float("x", 0, 1, step=0.001))
        return values

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    assert drawn([3, 4, 3]) == drawn([3, 4, 3])


def test_trials_do_not_share_their_randomness():
    assert len({hash_seed(seed, number) for seed in range(3) for number in range(20)}) == 60


def test_options_reach_the_sampler_and_the_pruner():
    from harness.search.study import pruner_of

    with pytest.raises(FieldError, match="RandomSampler does not take them"):
        sampler_for(settings(sampler="random", sampler_options={"n_startup_trials": 1}), 0)
    pruner = pruner_of(settings(pruner="ThresholdPruner", pruner_options={"lower": 0.5}))
    assert isinstance(pruner, optuna.pruners.ThresholdPruner)


def test_tables_that_another_worker_is_making_are_waited_for(url, monkeypatch):
    """Both meet an empty database; the one that is late finds its tables there."""
    import harness.search.study as module

    made, tries = module.RDBStorage, []

    def late(*arguments, **named):
        tries.append(1)
        if len(tries) < 3:
            raise IntegrityError("insert", {}, Exception("duplicate key"))
        return made(*arguments, **named)

    monkeypatch.setattr(module, "RDBStorage", late)
    monkeypatch.setattr(module, "_PAUSE", 0)
    open_storage(url).engine.dispose()
    assert len(tries) == 3
    tries.clear()
    monkeypatch.setattr(module, "_TRIES", 2)
    with pytest.raises(FieldError, match="cannot be opened: duplicate key"):
        open_storage(url)
