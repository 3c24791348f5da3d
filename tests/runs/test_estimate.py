"""Estimates of what is left against engines that are played from recorded completion lengths."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from harness.runs.estimate import Estimate


@dataclass
class Played:
    """An engine with a clock of its own: slots, costs, and the lengths that completions will have.

    A pass costs `fixed` and `per_row` seconds, a prompt `reading`; nothing sleeps.
    """

    lengths: list[int]
    limit: int
    slots: int
    fixed: float = 0.05
    per_row: float = 0.01
    reading: float = 0.4
    now: float = 0.0
    told: list[tuple[float, float]] = field(default_factory=list)
    """When, and how much was said to be left."""

    def play(self) -> float:
        """Run all requests; returns when the last one ended."""
        estimate = Estimate(self.limit, lambda: self.now)
        waiting, flying, asked = list(self.lengths), [], 0.0
        estimate.resume()
        while waiting or flying:
            free = self.slots - len(flying)
            if free and waiting:
                admitted, waiting = waiting[:free], waiting[free:]
                for length in admitted:
                    self.now += self.reading
                    estimate.read(100)
                    flying.append([length, 1])
                estimate.flying([made for _, made in flying])
            self.now += self.fixed + self.per_row * len(flying)
            for each in flying:
                each[1] += 1
            for length, made in flying:
                if made >= length:
                    estimate.ended(length, cut=length == self.limit)
            flying = [each for each in flying if each[1] < each[0]]
            estimate.step([made for _, made in flying])
            if self.now - asked > 5.0:
                asked = self.now
                self.told.append((self.now, estimate.left(len(waiting))))
        return self.now

    def worst(self, after: float = 0.25) -> float:
        """The largest error of what was left, as a share of it, from a share of the run on.

        The last twentieth counts in seconds of the whole: of nothing left there is no share.
        """
        whole = self.now
        errors = [
            abs(left - (whole - at)) / max(whole - at, whole / 20)
            for at, left in self.told
            if at >= after * whole
        ]
        return max(errors)


def geometric(count: int, mean: float, limit: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [min(limit, 2 + int(draw.expovariate(1 / mean))) for _ in range(count)]


def test_nothing_is_said_before_a_pass_was_seen():
    assert Estimate(100).left(10) is None


def test_requests_that_all_run_to_their_limit_are_foreseen_exactly():
    played = Played([128] * 40, 128, slots=8)
    played.play()
    assert played.worst(0.05) < 0.1
