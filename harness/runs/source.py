"""What a case asks, step after step: a later step may depend on the replies to an earlier one.

The completions, or scorings, of a case are the first step. What a metric needs to know of
completions (`reference`: how probable another model finds their tokens) is the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from harness.engines.contract import Asked, Completion, Reply, Request, Scoring
from harness.interventions.base import Intervention
from harness.runs.plan import Address, Plan, PlannedCase

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
        self._first: dict[Address, Asked] = {}

    def next(self, step: int, observations: Mapping[Address, Reply]) -> Sequence[Addressed]:
        """As every source."""
        if step == 0:
            self._first = dict(
                self._plan.requests(self._case, self._intervention, self._plan.refused)
            )
            return list(self._first.items())
        if step == 1 and self._case.reader is not None:
            return self._read_again(self._case.reader, observations)
        return []

    def _read_again(self, reader: str, observations: Mapping[Address, Reply]) -> list[Addressed]:
        """A scoring, by the untouched model of this name, of every completion that has tokens."""
        found: list[Addressed] = []
        for address, reply in observations.items():
            request = self._first.get(address)
            if isinstance(request, Request) and isinstance(reply, Completion) and reply.tokens:
                scoring = Scoring(request.prompt, (reply.tokens,), engine=reader)
                found.append((Address(address.case, address.sample, address.draw, step=1), scoring))
        return found
