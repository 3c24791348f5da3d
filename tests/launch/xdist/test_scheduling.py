"""Whatever order of events xdist delivers: all is run once, but for what a worker died over."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("xdist")

from harness.launch.xdist.scheduling import PartScheduling

PARTS = {"a": 0, "b": 1, "c": 0, "d": 1, "e": 0, "f": 1}
TESTS = [*PARTS, "x", "y"]


class Worker:
    """A worker as xdist's controller sees it; it holds its last test back until it knows more."""

    def __init__(self, name):
        self.gateway = SimpleNamespace(id=name)
        self.given = []
        self.ran = []
        self.shutting_down = False

    def send_runtest_some(self, indices):
        assert not self.shutting_down
        self.given += indices

    def shutdown(self):
        self.shutting_down = True

    @property
    def can_run(self):
        return len(self.given) > 1 or (self.shutting_down and bool(self.given))


class Session:
    """Does what xdist's session does with the events of its workers."""

    def __init__(self, count, collection=TESTS, parts=PARTS):
        self.reports = []
        hook = SimpleNamespace(pytest_collectreport=lambda report: self.reports.append(report))
        config = SimpleNamespace(getvalue=lambda name: ["popen"] * count, hook=hook)
        self.scheduling = PartScheduling(config, lambda: parts)
        self.collection = collection
        self.starting, self.workers, self.ran, self.crashed = [], [], [], []
        for _ in range(count):
            self.start()

    def start(self):
        worker = Worker(f"gw{len(self.starting) + len(self.workers) + len(self.crashed)}")
        self.scheduling.add_node(worker)
        self.starting.append(worker)

    def collected(self, worker, collection=None):
        self.starting.remove(worker)
        self.workers.append(worker)
        self.scheduling.add_node_collection(worker, collection or self.collection)
        if self.scheduling.collection_is_completed:
            self.scheduling.schedule()
        self.after_every_event()

    def run_one(self, worker):
        index = worker.given.pop(0)
        self.ran.append(self.collection[index])
        worker.ran.append(self.collection[index])
        self.scheduling.mark_test_complete(worker, index)
        self.after_every_event()

    def die(self, worker):
        crashed = self.scheduling.remove_node(worker)
        if crashed is not None:
            self.crashed.append(crashed)
        (self.workers if worker in self.workers else self.starting).remove(worker)
        self.start()
        self.after_every_event()

    def after_every_event(self):
        if self.scheduling.tests_finished:
            for worker in self.scheduling.nodes:
                worker.shutdown()

    def go_on(self):
        """Everything that may happen without a death, until nothing does."""
        while True:
            if self.starting:
                self.collected(self.starting[0])
            elif ready := [worker for worker in self.workers if worker.can_run]:
                self.run_one(ready[0])
            else:
                return


@given(st.data(), st.integers(1, 4))
def test_everything_is_run_once_whoever_dies_when(data, count):
    session = Session(count)
    for _ in range(data.draw(st.integers(0, 30))):
        events = [(session.collected, worker) for worker in session.starting]
        events += [(session.run_one, worker) for worker in session.workers if worker.can_run]
        events += [(session.die, worker) for worker in session.scheduling.nodes]
        happens, worker = data.draw(st.sampled_from(events))
        happens(worker)
    session.go_on()
    assert sorted(session.ran + session.crashed) == sorted(TESTS)
    assert not session.scheduling.has_pending
    assert session.scheduling.tests_finished
    assert all(worker.shutting_down for worker in session.workers)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_part_is_run_by_one_worker_in_its_order(count):
    session = Session(count)
    session.go_on()
    for part in (0, 1):
        runs = [
            [test for test in worker.ran if PARTS.get(test) == part] for worker in session.workers
        ]
        assert sorted(map(len, runs)) == [0] * (count - 1) + [3]
        assert max(runs, key=len) == [test for test in TESTS if PARTS.get(test) == part]


def test_nobody_has_two_units_before_everybody_has_one():
    session = Session(2, collection=["x", "y"], parts={})
    for worker in list(session.starting):
        session.collected(worker)
    assert [worker.given for worker in session.workers] == [[0], [1]]


def test_two_workers_that_are_replaced_at_once():
    session = Session(2)
    for worker in list(session.starting):
        session.collected(worker)
    for worker in list(session.workers):
        session.die(worker)
    session.collected(session.starting[1])
    session.go_on()
    assert sorted(session.crashed) == ["a", "b"]
    assert sorted(session.ran) == sorted(set(TESTS) - {"a", "b"})


def test_workers_that_collect_different_tests_run_nothing():
    session = Session(2)
    session.collected(session.starting[0])
    session.collected(session.starting[0], TESTS[:-1])
    assert len(session.reports) == 1
    assert "Different tests were collected" in session.reports[0].longrepr
    assert session.ran == []


def test_a_replacement_that_finds_other_tests_is_sent_away():
    session = Session(1)
    session.collected(session.starting[0])
    session.die(session.workers[0])
    session.collected(session.starting[0], ["another"])
    assert session.workers[0].given == []
    assert session.workers[0].shutting_down


def test_another_plugin_may_have_a_crashed_test_run_again():
    session = Session(1)
    session.collected(session.starting[0])
    session.die(session.workers[0])
    session.scheduling.mark_test_pending("a")
    session.go_on()
    assert sorted(session.ran) == sorted(TESTS)


def test_a_run_without_tests_is_finished_at_once():
    session = Session(2, collection=[])
    session.go_on()
    assert session.scheduling.tests_finished
    assert all(worker.shutting_down for worker in session.workers)
