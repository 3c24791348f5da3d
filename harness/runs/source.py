"""What is asked step after step: a later step may depend on what came of the one before.

A source of requests is followed in one stream with all others (`waiting.py`). One of cases decides
by results, and is followed run by run (`follow`): a sweep that stops itself, a batch of trials.

The completions, or scorings, of a case are the first step, and with them what its metrics ask that
needs no completions. What metrics ask because of completions (how probable another model finds
their tokens, what a judge says of them) is the second, and what they ask because of those replies
(a judge was not understood) the third.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

from harness.engines.contract import Asked, Completion, Reply
from harness.interventions.base import Intervention
from harness.metrics.entry import Answer
from harness.runs.plan import Address, Plan
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult, answer_to

Addressed: TypeAlias = tuple[Address, Asked]
Observed = TypeVar("Observed", contravariant=True)
Wanted = TypeVar("Wanted", covariant=True)


class Source(Protocol[Observed, Wanted]):
    """A growing source of what is asked, with all that it remembers."""

    def next(self, step: int, observations: Observed) -> Sequence[Wanted]:
        """What to ask at a step; nothing where it is finished.

        Args:
            step: 0 for the first one.
            observations: What came of the step before, refusals and failures included; empty at
                step 0.
        """


#: Asks requests and scorings, with the addresses of the replies; the step stands in these, too.
Requests: TypeAlias = Source[Mapping[Address, Reply], Addressed]
#: Asks whole cases, and observes their results and those of their baselines, by their ids.
Cases: TypeAlias = Source[Mapping[str, CaseResult], PlannedCase]


def follow(source: Cases, run: Callable[[Sequence[PlannedCase]], Sequence[CaseResult]]) -> None:
    """Have every step of a source of cases run, until it asks no more."""
    step = 0
    results: dict[str, CaseResult] = {}
    while cases := source.next(step, results):
        results = {result.case.id: result for result in run(cases)}
        step += 1


class CaseSource:
    """The source of a case: what its measure asks, then what its metrics ask of completions."""

    def __init__(self, case: PlannedCase, plan: Plan, intervention: Intervention | None) -> None:
        self._case = case
        self._plan = plan
        self._intervention = intervention
        self._answers: dict[str, list[Answer]] = {}

    def next(self, step: int, observations: Mapping[Address, Reply]) -> Sequence[Addressed]:
        """As every source."""
        if step == 0:
            return self._plan.requests(self._case, self._intervention, self._plan.refused)
        if step == 1 and any(entry.asks for entry in self._case.counted):
            return self._because_of(observations)
        if step == 2:
            return self._once_more(observations)
        return []

    def _because_of(self, observations: Mapping[Address, Reply]) -> list[Addressed]:
        """What metrics ask about completions, sample by sample."""
        for address in sorted(observations, key=lambda address: address.draw):
            reply = observations[address]
            if isinstance(reply, Completion) and not address.metric:
                self._answers.setdefault(address.sample, []).append(answer_to(reply))
        return [
            addressed
            for sample, own in self._answers.items()
            for addressed in self._plan.asked_by_metrics(
                self._case, self._case.task.by_id[sample], self._intervention, own
            )
        ]

    def _once_more(self, observations: Mapping[Address, Reply]) -> list[Addressed]:
        """What metrics ask about the replies to what they asked about completions."""
        replies: dict[str, dict[str, list[Reply]]] = {}
        for address in sorted(observations, key=lambda address: address.draw):
            own = replies.setdefault(address.sample, {})
            own.setdefault(address.metric, []).append(observations[address])
        return [
            addressed
            for sample, own in replies.items()
            for addressed in self._plan.asked_by_metrics(
                self._case,
                self._case.task.by_id[sample],
                self._intervention,
                self._answers[sample],
                replies=own,
            )
        ]
