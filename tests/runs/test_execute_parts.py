"""Workers that share a model's cases through one store, each played by a run in this process."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.engines.transformers.engine import TransformersEngine
from harness.resolve.progress import Counts, Silent
from harness.runs.execute import ModelRun
from harness.runs.partition import partition
from harness.store.completions import CompletionStore
from tests.runs.small import cases, content, start

AXES = {"intervention.count": [0, 1, 4, 30]}


class Watched:
    """A real engine that notes what it was asked to make, in which company."""

    def __init__(self, loaded):
        self._engine = TransformersEngine(loaded, slots=2)
        self.streams = []

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def generate(self, requests):
        self.streams.append(list(requests))
        return self._engine.generate(requests)

    @property
    def made(self):
        return [request for stream in self.streams for request in stream]


@pytest.fixture
def worker(loaded, tmp_path):
    """Start the run of one part of the cases, with a store of its own in the common folder."""

    def started(parts, number, engine=None):
        shared = dict(enumerate(parts))
        engine = engine or Watched(loaded)
        return ModelRun(
            engine,
            parts[number],
            Silent(),
            Counts(),
            CompletionStore(tmp_path / "store"),
            parts=shared,
            part=number,
        )

    return started


@pytest.fixture(scope="module")
def asked():
    return cases(axes=AXES)


@pytest.fixture(scope="module")
def alone(loaded, asked):
    """What one process gives, which nobody shares anything with."""
    run = start(loaded, asked)
    return {case.id: content(run.result(case)) for case in [asked[0].baseline, *asked]}


def finish(run, part):
    """All of a part's results by id, its baseline's too."""
    results = [run.result(case) for case in part]
    return {result.case.id: content(result) for result in [*run.results(), *results]}


@pytest.mark.parametrize("count", [2, 3])
def test_parts_one_after_the_other_give_what_one_run_gives(worker, asked, alone, count):
    parts = partition(asked, count)
    found = {}
    for number, part in enumerate(parts):
        found |= finish(worker(parts, number), part)
    assert found == alone


def test_two_workers_at_once_make_every_baseline_once(worker, asked, alone):
    parts = partition(asked, 2)
    first, second = (worker(parts, number) for number in range(2))
    # The first makes its share and stands still; the second goes through; then the first goes on.
    first._stream.advance()
    found = finish(second, parts[1]) | finish(first, parts[0])
    assert found == alone
    made = Counter(request for run in (first, second) for request in run.engine.made)
    assert set(made.values()) == {1, 2}
    twice = [request for request, times in made.items() if times == 2]
    assert len(twice) < 3, "both made what they share"


def test_a_worker_makes_its_share_then_its_own_then_what_nobody_made(worker, asked):
    parts = partition(asked, 2)
    run = worker(parts, 0)
    finish(run, parts[0])
    share, own, rest = run.engine.streams
    assert all(request.intervention is None for request in [*share, *rest])
    assert all(request.intervention is not None for request in own)
    assert len(share) + len(rest) == 3
    assert share
    assert rest


def test_what_others_made_is_not_made_again(worker, asked, alone):
    parts = partition(asked, 2)
    finish(worker(parts, 0), parts[0])
    second = worker(parts, 1)
    found = finish(second, parts[1])
    assert {id_: found[id_] for id_ in found} == {id_: alone[id_] for id_ in found}
    assert all(request.intervention is not None for request in second.engine.made)


def test_a_case_is_done_before_its_part_is_when_others_are_ahead(worker, asked):
    """Nobody waits for the end of its own part when what it lacks has been stored meanwhile."""
    parts = partition(asked, 2)
    run = worker(parts, 0)
    run._stream.advance()
    finish(worker(parts, 1), parts[1])
    run.result(parts[0][0])
    assert run._waiting[parts[0][-1].id] > 0


def test_a_part_that_takes_over_finds_what_the_dead_one_had_made(worker, asked, alone):
    parts = partition(asked, 2)
    dead = worker(parts, 0)
    for _ in range(5):
        dead._stream.advance()
    replacing = worker(parts, 0)
    found = finish(replacing, parts[0])
    assert found == {id_: alone[id_] for id_ in found}
    assert replacing._counts.requests_stored == 5
    assert len(replacing.engine.made) == replacing._counts.requests_total - 5
