"""Searches that are killed, and several workers on one study: SQLite's and PostgreSQL's."""

from __future__ import annotations

import csv
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.postgres import Postgres, absent
from tests.durability.project import grown, size
from tests.prepared import Ended

# Strict: what is resumed runs in other batches, where a fast engine may break a tie differently.
SPEC = """\
name: small
model: zoo/base
task: {{name: micro_gsm8k}}
intervention: {{kind: steering, vector: {{pairs: answers}}, layer: 0, alpha: 0}}
sampling: {{max_new_tokens: 24}}
engine: {{determinism: strict, slots: 4, columns: 192}}
search:
  space:
    intervention.alpha: {{low: -2, high: 2}}
    intervention.layer: [0, 1]
  trials: 6
  batch: {batch}
  chunk: 3
  splits: {{train: 8, validation: 6, test: 5}}
  pruner_options: {{n_startup_trials: 1}}
  storage: {storage}
"""
COMMAND = ("search", "small.yaml", "--report", "out")
TRIALS = 6
IN_THE_MIDDLE = (0.3, 0.6)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    reason = absent()
    if reason is not None:
        pytest.skip(reason)
    with Postgres() as server:
        yield server


def write_spec(folder: Path, storage: str = "null", batch: int = 3) -> None:
    (folder / "small.yaml").write_text(SPEC.format(storage=storage, batch=batch))


def trials(folder: Path) -> list[dict[str, str]]:
    """The trials of a report, without what is another process's."""
    with (folder / "out" / "search" / "trials.csv").open() as file:
        return [
            {name: value for name, value in row.items() if name not in {"seconds", "worker"}}
            for row in csv.DictReader(file)
        ]


def made(folder: Path, store: Path | None = None) -> int:
    """Completions that were made and stored, by whomever."""
    files = (store or folder / ".titrate" / "store").glob("*.jsonl")
    return sum(path.read_bytes().count(b'"kind":"completion"') for path in files)


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory) -> tuple[list[dict[str, str]], str, int, int]:
    """Trials, results, completions and bytes of a search that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_spec(folder)
    ended = prepared.run(folder, *COMMAND, program="titrate")
    assert ended.status == 0, ended.output
    results = (folder / "out" / "search" / "results.json").read_text()
    return trials(folder), results, made(folder), size(folder)


def killed_at(prepared, written: float, folder: Path) -> Ended:
    """A search that was killed when it had written so many bytes."""
    happened = grown(folder, written)
    return prepared.run_until(happened, signal.SIGKILL, folder, *COMMAND, program="titrate")


@pytest.mark.slow
@pytest.mark.parametrize("moments", [IN_THE_MIDDLE, (0.05,), (0.8,)])
def test_a_killed_search_goes_on_and_repeats_no_trial(prepared, undisturbed, tmp_path, moments):
    """What was finished is not run again, and what was begun keeps its number and parameters."""
    expected, results, completions, total = undisturbed
    write_spec(tmp_path)
    for moment in moments:
        killed = killed_at(prepared, moment * total, tmp_path)
        assert killed.status == -signal.SIGKILL
    ended = prepared.run(tmp_path, *COMMAND, program="titrate")
    assert ended.status == 0, ended.output
    assert "Traceback" not in ended.output
    if moments == IN_THE_MIDDLE:
        assert "were left by a worker that died" in ended.output
    assert trials(tmp_path) == expected
    assert (tmp_path / "out" / "search" / "results.json").read_text() == results
    # At most a completion is in flight when a process dies; each other one was made once.
    assert made(tmp_path) <= completions + len(moments)


def shared(folder: Path, ends: list[Ended]) -> None:
    """One of the workers has written the report, and between them they ran every trial once."""
    said = Counter("another worker tells the last trial" in ended.output for ended in ends)
    assert all(ended.status == 0 for ended in ends), [ended.output for ended in ends]
    assert said[False] >= 1
    found = [row["state"] for row in trials(folder)]
    assert len(found) == TRIALS
    assert set(found) <= {"COMPLETE", "PRUNED"}


def both(prepared, *folders: Path) -> list[Ended]:
    started = [prepared.start(folder, *COMMAND, program="titrate") for folder in folders]
    return [running.wait() for running in started]


def reported(*folders: Path) -> Path:
    """The folder of the worker that has written the report."""
    return next(folder for folder in folders if (folder / "out" / "search").exists())


@pytest.mark.slow
def test_two_processes_share_a_study_in_sqlite(prepared, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for folder in (one, other):
        folder.mkdir()
        write_spec(folder, storage=url, batch=2)
    ends = both(prepared, one, other)
    shared(reported(one, other), ends)


@pytest.mark.slow
def test_two_processes_share_a_study_in_postgresql(prepared, tmp_path, postgres):
    one, other = tmp_path / "one", tmp_path / "other"
    url = postgres.url("shared")
    for folder in (one, other):
        folder.mkdir()
        write_spec(folder, storage=url, batch=2)
    ends = both(prepared, one, other)
    shared(reported(one, other), ends)


@pytest.mark.slow
def test_a_killed_search_goes_on_in_postgresql(prepared, undisturbed, tmp_path, postgres):
    expected, _, _, total = undisturbed
    write_spec(tmp_path, storage=postgres.url("killed"))
    killed = killed_at(prepared, total / 2, tmp_path)
    assert killed.status == -signal.SIGKILL
    ended = prepared.run(tmp_path, *COMMAND, program="titrate")
    assert ended.status == 0, ended.output
    assert trials(tmp_path) == expected
