"""What an engine does between two completions, turned into the counters of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from harness.resolve.progress import Counts, Progress
from harness.runs.estimate import StreamEstimate

#: Seconds between two estimates of what is left, each of which costs some milliseconds.
_INTERVAL = 0.5


class StreamWatch:
    """Watches one model's streams: the time of its engine, tokens in flight, and what is left.

    Args:
        counts: Where the whole run stands; added to.
        progress: Told of every pass.
        limit: The most tokens that a request may generate.
        cases: How many cases are this model's.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        counts: Counts,
        progress: Progress,
        limit: int,
        cases: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.seconds = 0.0
        self.waiting = 0
        """Requests of all streams that the engine has not completed."""
        self.scorings = 0
        """Scorings of all streams that it has not completed."""
        self.scoring = False
        """Whether it scores now, and does not generate."""
        self._scored = 0
        self._scoring_seconds = 0.0
        self._counts = counts
        self._progress = progress
        self._cases = cases
        self._clock = clock
        self._estimate = StreamEstimate(limit, clock)
        self._begun: float | None = None
        self._done = 0
        self._ending = 0
        self._mark = 0.0
        self._estimated = -_INTERVAL

    def resume(self) -> None:
        """The engine is asked to go on."""
        self._mark = self._clock()
        if self._begun is None:
            self._begun = self._mark
        self._estimate.resume()

    def pause(self) -> None:
        """The engine has answered."""
        now = self._clock()
        self.seconds += now - self._mark
        self._counts.seconds += now - self._mark
        self._scoring_seconds += (now - self._mark) * self.scoring
        self._mark = now

    def ended(self, length: int, *, cut: bool) -> None:
        """A request is complete."""
        self.waiting -= 1
        self._done += 1
        self._ending = max(0, self._ending - 1)
        self._estimate.ended(length, cut=cut)

    def scored(self) -> None:
        """A scoring is complete."""
        self.scorings -= 1
        self._scored += 1

    def read(self, tokens: int) -> None:
        """Tokens of prompts were read."""
        self._estimate.read(tokens)
        self._tell()

    def step(self, lengths: Sequence[int]) -> None:
        """A pass advanced what is in flight."""
        self._ending += max(0, len(self._estimate.in_flight) - len(lengths))
        self._estimate.step(lengths)
        self._tell()

    def flying(self, lengths: Sequence[int]) -> None:
        """Others were let in."""
        self._estimate.flying(lengths)

    def close(self) -> None:
        """Nothing is in flight any more."""
        self._estimate.flying(())
        self._counts.in_flight = 0
        self._counts.left = None

    def _tell(self) -> None:
        self.pause()
        self._counts.in_flight = sum(self._estimate.in_flight)
        if self._mark - self._estimated >= _INTERVAL:
            self._estimated = self._mark
            self._counts.left = self._left()
        self._progress.update(self._counts)

    def _left(self) -> float | None:
        """Seconds that the whole run is expected to take from here on."""
        # What ended in this very pass is no longer in flight, and was not handed on yet.
        begun = len(self._estimate.in_flight) + self._ending
        left = self._estimate.left(max(0, self.waiting - begun))
        if self.scoring:  # each takes what those before took; what is generated comes elsewhere
            left = self._scoring_seconds / self._scored * self.scorings if self._scored else None
        if left is None or self._begun is None:
            return None
        between = max(0.0, self._mark - self._begun - self.seconds)
        if self._done:  # storing, scoring, and whatever else happens between two completions
            left += between * self.waiting / self._done
        met = self._counts.cases_met
        others = self._counts.cases_total - met if met else 0
        return left + (self._mark - self._begun + left) * others / max(self._cases, 1)
