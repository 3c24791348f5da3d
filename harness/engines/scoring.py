"""What engines have in common in scoring: what is refused, and scores put together from parts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from harness.engines.contract import Scored, Scoring
from harness.errors import RequestError


def check_scoring(scoring: Scoring, longest: int, vocabulary: int) -> None:
    """Raise `RequestError` for what a model of so many words and tokens at once cannot score."""
    if not 0 <= scoring.continued <= len(scoring.context):
        raise RequestError(
            f"continued is {scoring.continued}, of a context of {len(scoring.context)} tokens"
        )
    for index, continuation in enumerate(scoring.continuations):
        total = len(scoring.context) + len(continuation)
        if total > longest:
            raise RequestError(
                f"the context of {len(scoring.context)} tokens and continuation {index} of "
                f"{len(continuation)} are {total} tokens; the model scores at most {longest}"
            )
    parts = {"the context": scoring.context} | {
        f"continuation {index}": tokens for index, tokens in enumerate(scoring.continuations)
    }
    for part, tokens in parts.items():
        outside = next((token for token in tokens if not 0 <= token < vocabulary), None)
        if outside is not None:
            raise RequestError(f"token id {outside} of {part} is outside 0..{vocabulary - 1}")


class Gathering:
    """One scoring whose continuations come back one by one, in any order."""

    def __init__(self, scoring: Scoring) -> None:
        self._missing = sum(map(bool, scoring.continuations))
        self._log_probabilities: list[tuple[float, ...]] = [()] * len(scoring.continuations)
        self._greedy: list[tuple[bool, ...]] = [()] * len(scoring.continuations)
        self._counts = Counter[str]()
        self._error: str | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing; of an empty continuation nothing ever is."""
        return not self._missing

    def add(
        self,
        continuation: int,
        log_probabilities: Sequence[float],
        greedy: Sequence[bool],
    ) -> None:
        """Take in one continuation that is not empty."""
        self._log_probabilities[continuation] = tuple(log_probabilities)
        self._greedy[continuation] = tuple(greedy)
        self._missing -= 1

    def count(self, counts: Mapping[str, int], times: int = 1) -> None:
        """Take in what was counted, `times` over."""
        for name, count in counts.items():
            self._counts[name] += times * count

    def fail(self, continuation: int, error: object) -> None:
        """Note that one continuation cannot be scored: then none is."""
        self._error = self._error or f"continuation {continuation}: {error}"
        self._missing -= 1

    def scored(self) -> Scored:
        """The scores of all continuations."""
        if self._error is not None:
            return Scored(error=self._error)
        for index, values in enumerate(self._log_probabilities):
            at = next((at for at, value in enumerate(values) if not math.isfinite(value)), None)
            if at is not None:
                return Scored(
                    error=f"continuation {index} has a log-probability of {values[at]} at token "
                    f"{at}; mend the weights, weaken the dose or use a wider engine.dtype"
                )
        return Scored(tuple(self._log_probabilities), tuple(self._greedy), dict(self._counts))
