"""How long the rest of a stream of requests takes, learned from the stream itself.

- *How long completions are*: a table of hazards, the chance to end within the next few tokens by
  the tokens so far. Sequences in flight count up to where they are (as censored observations, after
  Kaplan and Meier 1958): those that have ended are the short ones, and alone would mislead.
  If none waits, no sequence has come further than those in flight: beyond them an end is taken to
  be as likely between any two ages of the same ratio, until many have ended.
- *What a pass costs*: the mean seconds of a pass by the rows in it, and of a token of a prompt.
- *What is left*: sequences in flight age from pass to pass, end by their hazards, and give their
  slots to those that wait, until nothing is expected to run. Numbers of sequences are expectations.

Nothing is known of what an engine has not begun; until a pass was seen there is no estimate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: Ages are told apart in so many steps up to the length limit.
_BINS = 64
#: Every hazard is drawn towards the one before it by as much as so many sequences would.
_PRIOR = 80.0
#: Where none waits it is at most this share of the sequences: there may be no more than these.
_PRIOR_SHARE = 0.5
#: An age that a smaller share of all sequences has come to is one of which little is known.
_FEW = 0.05
#: What is known of the ages before it counts there by as many sequences as have ended, against so
#: many that end as they please: at no age sooner than at another, by ratios of ages.
_INDIFFERENT = 5.0
#: How many end of those that have come to an age, before they come to 2.7 times of it.
_STEEP = 0.75
#: Before any sequence has ended, one is taken to have after this share of the length limit.
_FIRST_GUESS = 0.5
#: Weight of the newest pass; older ones fade, because an engine gets slower or faster on its way.
_NEWEST = 0.02
#: Until passes of different sizes were seen, this share of one's cost is taken to have no rows.
_FIXED = 0.2
#: How different in size, as a share of the mean, passes must be to outweigh that assumption.
_SPREAD = 0.03
#: Below so many expected sequences nothing runs any more.
_NOBODY = 0.05
#: Of those that wait, as many times the slots are played; the others take what these take each.
_PLAYED = 3


@dataclass
class _PassCost:
    """The seconds of a pass as a straight line over its rows, through what was seen of late."""

    seen: int = 0
    _rows: float = 0.0
    _seconds: float = 0.0
    _spread: float = 0.0
    _together: float = 0.0

    def observe(self, rows: float, seconds: float) -> None:
        """Add a pass: weighted means, variance and covariance, updated in place."""
        self.seen += 1
        weight = max(_NEWEST, 1 / self.seen)
        over, longer = rows - self._rows, seconds - self._seconds
        self._rows += weight * over
        self._seconds += weight * longer
        self._spread = (1 - weight) * (self._spread + weight * over * over)
        self._together = (1 - weight) * (self._together + weight * over * longer)

    def seconds(self, rows: float) -> float:
        """What a pass over so many rows costs."""
        assumed = (1 - _FIXED) * self._seconds / self._rows
        trust = (_SPREAD * self._rows) ** 2
        slope = (self._together + trust * assumed) / (self._spread + trust)
        slope = min(max(slope, 0.0), 0.98 * self._seconds / self._rows)
        return self._seconds + slope * (rows - self._rows)


@dataclass
class StreamEstimate:
    """What a stream has shown so far.

    Args:
        limit: The most tokens that a request may generate.
        clock: Seconds, monotonic.
    """

    limit: int
    clock: Callable[[], float] = time.monotonic
    in_flight: Sequence[int] = ()
    """Tokens that each unfinished sequence has generated."""
    _mark: float = 0.0
    _slots: int = 0
    _ended: list[tuple[int, bool]] = field(default_factory=list)
    _pass: _PassCost = field(default_factory=lambda: _PassCost())
    _reading: float = 0.0
    _admitted: int = 0
    _advanced: float = 0.0
    _rows: float = 0.0

    def resume(self) -> None:
        """The engine goes on: what others did meanwhile took none of its time."""
        self._mark = self.clock()

    def read(self, tokens: int) -> None:  # noqa: ARG002 - the engines' contract
        """Prompts were read in part, while nothing else went on."""
        self._reading += self._lap()

    def step(self, lengths: Sequence[int]) -> None:
        """A pass advanced all sequences in flight to these lengths."""
        seconds, rows = self._lap(), max(len(self.in_flight), 1)
        grown = sum(lengths) - sum(self.in_flight)
        if len(lengths) == len(self.in_flight) and grown > 0:
            self._advanced += grown
            self._rows += rows
        self._pass.observe(rows, seconds)
        self.flying(lengths)

    def flying(self, lengths: Sequence[int]) -> None:
        """Who is in flight now."""
        self._admitted += max(0, len(lengths) - len(self.in_flight))
        self.in_flight = list(lengths)
        self._slots = max(self._slots, len(lengths))

    def ended(self, length: int, *, cut: bool) -> None:
        """A sequence has ended, by itself or because it was cut off at its limit."""
        self._ended.append((length, cut))

    def left(self, waiting: int) -> float | None:
        """Seconds until all that is in flight, and so many requests that wait, have ended."""
        if not self._pass.seen:
            return None
        width = max(self.limit / _BINS, 1.0)
        hazards = self._hazards(width, alone=not waiting)
        last = len(hazards) - 1
        age = np.zeros(last + 1)
        for length in self.in_flight:
            age[min(int(length / width + 0.5), last)] += 1
        passes = width / max(self._advanced / self._rows if self._rows else 1.0, 1.0)
        prompt = self._reading / max(self._admitted, 1)
        slots = max(self._slots, 1)
        beyond = max(0.0, float(waiting) - _PLAYED * slots)
        steps = float(np.cumprod(1.0 - hazards[:-1]).sum()) + 1.0
        seconds = beyond * (prompt + steps * passes * self._pass.seconds(slots) / slots)
        let_in = min(waiting - beyond, max(0.0, slots - float(age.sum())))
        age[0] += let_in
        left = waiting - beyond - let_in
        seconds += let_in * prompt
        while True:
            ends = age * hazards
            ending = float(ends.sum())
            let_in = min(left, ending)
            left -= let_in
            # Within so many tokens sequences end, and others take their place, at any moment.
            rows = float(age.sum()) - ending / 2 + let_in / 2
            if rows < _NOBODY:
                break
            pass_of_one = self._pass.seconds(max(rows, 1.0))
            seconds += passes * min(rows, 1.0) * pass_of_one + let_in * prompt
            age[1:] = (age - ends)[:-1]
            age[0] = let_in / 2
            age[min(1, last)] += let_in / 2
        return seconds

    def _hazards(self, width: float, *, alone: bool) -> NDArray[np.float64]:
        """The chance to end within each bin of tokens, for a sequence that has come so far.

        Those in flight are `alone` where none waits behind them.
        """
        count = int(np.ceil(self.limit / width))
        exposed, ends = np.zeros(count), np.zeros(count)
        observed = [*self._ended, *((length, True) for length in self.in_flight)]
        for length, cut in observed:
            last = min(int(length / width), count - 1)
            exposed[:last] += 1
            if not cut:
                exposed[last] += 1
                ends[last] += 1
        guess = 1.0 / (_FIRST_GUESS * count)
        hazards, hazard = np.empty(count), (ends.sum() + guess) / (exposed.sum() + 1.0)
        weight = min(_PRIOR, max(1.0, _PRIOR_SHARE * len(observed))) if alone else _PRIOR
        for each in range(count):
            if alone:
                hazard = self._beyond(hazard, each, ends, exposed, len(observed))
            hazard = (ends[each] + weight * hazard) / (exposed[each] + weight)
            hazards[each] = min(hazard, 1.0)
        hazards[-1] = 1.0
        return hazards

    @staticmethod
    def _beyond(
        hazard: float,
        at: int,
        ends: NDArray[np.float64],
        exposed: NDArray[np.float64],
        observed: int,
    ) -> float:
        """The hazard of the bin before `at` where that says something of it, else any age's."""
        ended = float(ends[:at].sum())
        guess = (ended * hazard + _INDIFFERENT * _STEEP / (at + 1)) / (ended + _INDIFFERENT)
        known = min(float(exposed[at]) / (_FEW * observed), 1.0) if observed else 0.0
        return known * hazard + (1 - known) * guess

    def _lap(self) -> float:
        now = self.clock()
        seconds, self._mark = now - self._mark, now
        return max(seconds, 0.0)
