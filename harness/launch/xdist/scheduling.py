"""How tests are dealt out in a run that names benches: a part of the cases to each worker, whole.

An implementation of `xdist.scheduler.protocol.Scheduling`. xdist's own group scheduling could be
given the parts, but in xdist 3.8 two workers that are replaced at the same time end the session
with an internal error (work is sent to one that has not collected yet), a test over which a worker
died is given out again, and its cost grows with the square of the number of tests.

A worker runs a test when it knows the next one, or that there is none: so it is given work until it
has two tests, and told to end when there is nothing left to give.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Never

import pytest
from xdist.report import report_collection_diff
from xdist.workermanage import parse_tx_spec_config


class PartScheduling:
    """Tests of one part go to one worker, in order; any other test goes wherever there is room.

    `parts` says the part of a bench's node id; it is asked when all workers have collected. The
    test over which a worker died is not run again. The rest of its tests are the next to be given.
    """

    def __init__(self, config: pytest.Config, parts: Callable[[], Mapping[str, int]]) -> None:
        self.config = config
        self._parts = parts
        self._workers = len(parse_tx_spec_config(config))
        self._collected: dict[Any, list[str]] = {}
        self._pending: dict[Any, list[int]] = {}
        self._waiting: deque[list[int]] = deque()
        self.collection: list[str] | None = None

    @property
    def nodes(self) -> list[Any]:
        """The workers that are alive."""
        return list(self._pending)

    @property
    def collection_is_completed(self) -> bool:
        """Whether all workers that the run began with, or those in their place, have collected."""
        return self.collection is not None or len(self._collected) >= self._workers

    @property
    def tests_finished(self) -> bool:
        """Whether nothing is left to be given; workers may be running their last test."""
        some_left = bool(self._waiting) or any(len(each) > 1 for each in self._pending.values())
        return self.collection_is_completed and not some_left

    @property
    def has_pending(self) -> bool:
        """Whether any test is still to be run."""
        return bool(self._waiting) or any(self._pending.values())

    def add_node(self, node: Any) -> None:
        """A worker has started. It is given nothing before it has collected."""
        self._pending[node] = []

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected. One that finds other tests than the run has is sent away."""
        if self.collection is not None and list(collection) != self.collection:
            node.shutdown()
            return
        self._collected[node] = list(collection)

    def schedule(self) -> None:
        """Begin, or go on with a worker that has replaced another."""
        if self.collection is None:
            if self._disagree():
                return
            self.collection = next(iter(self._collected.values()))
            self._waiting.extend(self._units(self.collection))
        self._give_to_all()

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:  # noqa: ARG002 - xdist's
        """A worker has run a test."""
        self._pending[node].remove(item_index)
        self._give(node)

    def mark_test_pending(self, item: str) -> None:
        """Another plugin wants a test to be run again."""
        assert self.collection is not None
        self._waiting.append([self.collection.index(item)])
        self._give_to_all()

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> Never:
        """Only for schedulers that take tests back, which this one does not."""
        raise NotImplementedError

    def remove_node(self, node: Any) -> str | None:
        """A worker has ended; returns the test that it was running, if it died over one."""
        pending = self._pending.pop(node)
        self._collected.pop(node, None)
        if not pending:
            return None
        running, *rest = pending
        if rest:
            self._waiting.appendleft(rest)
            self._give_to_all()
        assert self.collection is not None
        return self.collection[running]

    def _give_to_all(self) -> None:
        """Give every worker one unit before any worker gets two."""
        for enough in (1, 2):
            for node in self._collected:
                self._give(node, enough)

    def _give(self, node: Any, enough: int = 2) -> None:
        """Give a worker the next tests when it is about to have none, or tell it to end."""
        if node.shutting_down:
            return
        while self._waiting and len(self._pending[node]) < enough:
            unit = self._waiting.popleft()
            self._pending[node] += unit
            node.send_runtest_some(unit)
        if not self._waiting:
            node.shutdown()

    def _units(self, collection: Sequence[str]) -> list[list[int]]:
        """Indices of the tests that go together: every part of the cases, then each other test."""
        part_of = self._parts()
        parts: dict[int, list[int]] = {}
        others = []
        for index, nodeid in enumerate(collection):
            if nodeid in part_of:
                parts.setdefault(part_of[nodeid], []).append(index)
            else:
                others.append([index])
        return [*(parts[number] for number in sorted(parts)), *others]

    def _disagree(self) -> bool:
        """Whether workers have collected different tests, which is reported as an error."""
        (first, expected), *others = self._collected.items()
        disagree = False
        for node, collection in others:
            message = report_collection_diff(
                expected, collection, first.gateway.id, node.gateway.id
            )
            if message:
                disagree = True
                report = pytest.CollectReport(node.gateway.id, "failed", message, [])
                self.config.hook.pytest_collectreport(report=report)
        return disagree
