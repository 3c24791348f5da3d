"""Scores given continuations inside vLLM: a request for each, which shares its context's prefix.

vLLM tells the log-probabilities of those tokens of a prompt that it computes. A continuation that
finds no more than its context in the prefix cache has all of its own; one that finds more of itself
there, because it was scored before, is asked for again and finds nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.engines.contract import Request, Scored, Scoring
from harness.engines.scoring import Gathering
from harness.engines.vllm.conditions import Lease
from harness.engines.vllm.running import Running
from harness.engines.vllm.worker.scheduled import KEY


@dataclass(eq=False)
class Branch:
    """One continuation of a scoring; `position` is the scoring's, `index` the continuation's."""

    position: int
    index: int
    scoring: Scoring
    lease: Lease = field(default_factory=Lease)
    anew: bool = False
    """Whether it must find nothing in the prefix cache."""

    @property
    def continuation(self) -> tuple[int, ...]:
        """Its tokens."""
        return self.scoring.continuations[self.index]

    @property
    def tokens(self) -> tuple[int, ...]:
        """Context and continuation."""
        return (*self.scoring.context, *self.continuation)

    @property
    def as_running(self) -> Running:
        """The request that would have generated its last token, as far as interventions count."""
        request = Request(
            self.tokens[:-1],
            max_new_tokens=1,
            intervention=self.scoring.intervention,
            continued=self.scoring.continued + len(self.continuation) - 1,
        )
        return Running(self.position, request, self.lease, [self.tokens[-1]])

    @property
    def length(self) -> int:
        """Tokens of which what was counted counts: all but the last."""
        return self.as_running.length

    def is_told(self, output: Any) -> bool:
        """Whether vLLM computed what predicts the first token of the continuation, and the rest."""
        return (output.num_cached_tokens or 0) <= max(0, len(self.scoring.context) - 1)

    def scores(self, output: Any) -> tuple[list[float], list[bool]]:
        """Log-probabilities, and whether no token is more probable, from vLLM's output."""
        # Counted from the end: some of vLLM's runners leave out what they have not computed.
        entries = output.prompt_logprobs[-len(self.continuation) :]
        given = not self.scoring.context
        pairs = list(zip(self.continuation, entries, strict=True))[given:]
        own = [entry[token].logprob for token, entry in pairs]
        best = [max(each.logprob for each in entry.values()) for _, entry in pairs]
        greedy = [mine >= most for mine, most in zip(own, best, strict=True)]
        return [0.0] * given + own, [False] * given + greedy


class ScoringRun:
    """Scorings on their way through vLLM, continuation by continuation."""

    def __init__(self) -> None:
        self.waiting: deque[Branch] = deque()
        self.running: dict[str, Branch] = {}
        self._gathering: dict[int, Gathering] = {}
        self._complete: list[int] = []

    def add(self, position: int, scoring: Scoring) -> None:
        """Queue all continuations of a scoring; nothing has to be run for empty ones."""
        self._gathering[position] = Gathering(scoring)
        self._note(position)
        for index, continuation in enumerate(scoring.continuations):
            if continuation:
                self.waiting.append(Branch(position, index, scoring))

    def begin(self) -> None:
        """The first one that waits was handed in."""
        branch = self.waiting.popleft()
        self.running[branch.lease.name] = branch

    def reject(self, error: object) -> None:
        """The first one that waits cannot be run."""
        branch = self.waiting.popleft()
        self._gathering[branch.position].fail(branch.index, error)
        self._note(branch.position)

    def ended(self, output: Any) -> Branch | None:
        """The branch that this output ends; None if it ends none."""
        return self.running.pop(output.request_id, None) if output.finished else None

    def take(self, branch: Branch, output: Any, counted: Sequence[int], routers: int) -> None:
        """Add what vLLM said of one that has ended; or let it go first again, to be told all."""
        if not branch.is_told(output):
            branch.anew = True
            self.waiting.appendleft(branch)
            return
        gathering = self._gathering[branch.position]
        gathering.count(branch.as_running.counted(counted, routers))
        gathering.add(branch.index, *branch.scores(output))
        self._note(branch.position)

    def scored(self) -> Iterator[tuple[int, Scored]]:
        """The scorings of which nothing is missing any more, each once."""
        complete, self._complete = self._complete, []
        for position in complete:
            yield position, self._gathering.pop(position).scored()

    def _note(self, position: int) -> None:
        if self._gathering[position].complete:
            self._complete.append(position)


def parameters(branch: Branch) -> Any:
    """The `SamplingParams` of a branch: one token, which is not read."""
    from vllm import SamplingParams

    return SamplingParams(
        temperature=0.0,
        max_tokens=1,
        ignore_eos=True,
        detokenize=False,
        prompt_logprobs=1,
        skip_reading_prefix_cache=branch.anew,
        extra_args={KEY: branch.lease.payload} if branch.lease.payload else None,
    )
