"""What a case asks, step after step: a later step may depend on the replies to an earlier one.

The completions, or scorings, of a case are the first step, and with them what its metrics ask that
needs no completions. What metrics ask because of completions (how probable another model finds
their tokens, what a judge says of them) is the second, and what they ask because of those replies
(a judge was not understood) the third.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from harness.engines.contract import Asked, Completion, Reply
from harness.interventions.base import Intervention
from harness.metrics.entry import Answer
from harness.runs.plan import Address, Plan
from harness.runs.planned_case import PlannedCase
from harness.store.results import answer_to

Addressed: TypeAlias = tuple[Address, Asked]


class Source(Protocol):
    """A growing source of what is asked, with all that it remembers."""

    def next(self, step: int, observations: Mapping[Address, Reply]) -> Sequence[Addressed]:
        """What to ask at a step, with the addresses of the replies; nothing where it is finished.

        Args:
            step: 0 for the first one; it stands in the addresses, too.
            observations: The replies to the step before by their addresses, refusals included;
                empty at step 0.
        """


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
