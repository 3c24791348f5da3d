"""Estimates of what is left against engines that are played from recorded completion lengths."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.runs.estimate import StreamEstimate


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
    every: float = 5.0
    now: float = 0.0
    told: list[tuple[float, float]] = field(default_factory=list)
    """When, and how much was said to be left."""

    def play(self) -> float:
        """Run all requests; returns when the last one ended."""
        estimate = StreamEstimate(self.limit, lambda: self.now)
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
            if self.now - asked > self.every:
                asked = self.now
                self.told.append((self.now, estimate.left(len(waiting))))
        return self.now

    def errors(self, first: float = 0.25, last: float = 0.9) -> list[float]:
        """Errors of what was said to be left, as shares of it, within these parts of the run.

        Of the last sequence nobody knows how long it goes on: the very end is left out.
        """
        whole = self.now
        within = [each for each in self.told if first * whole <= each[0] <= last * whole]
        return [(left - (whole - at)) / (whole - at) for at, left in within]


def geometric(count: int, mean: float, limit: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [min(limit, 2 + int(draw.expovariate(1 / mean))) for _ in range(count)]


def test_nothing_is_said_before_a_pass_was_seen():
    assert StreamEstimate(100).left(10) is None


def test_requests_that_all_run_to_their_limit_are_foreseen():
    played = Played([128] * 40, 128, slots=8)
    played.play()
    assert max(map(abs, played.errors(0.1))) < 0.1


@pytest.mark.parametrize(
    ("count", "mean", "limit", "slots", "per_row"),
    [
        (300, 120, 512, 32, 0.01),  # many short answers, a few cut off: what a limit would promise
        (200, 40, 512, 16, 0.01),  # is ten times too long
        (600, 150, 512, 128, 0.0001),  # a device to which a row costs nothing
    ],
)
def test_what_is_left_is_known_within_a_third_from_a_quarter_on(count, mean, limit, slots, per_row):
    errors = []
    for seed in range(3):
        played = Played(geometric(count, mean, limit, seed), limit, slots, per_row=per_row)
        played.play()
        errors += played.errors()
    assert sum(abs(error) <= 0.3 for error in errors) >= 0.9 * len(errors)
    assert abs(sum(errors) / len(errors)) < 0.2, "neither always too long nor always too short"


def lengths_of(shape: str, count: int, limit: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    drawn = {
        "geometric": lambda: draw.expovariate(1 / (0.25 * limit)),
        "geometric, long": lambda: draw.expovariate(1 / (0.6 * limit)),
        "normal, long": lambda: draw.gauss(0.8 * limit, 0.25 * limit),
        "uniform": lambda: draw.uniform(2, limit),
        "log-normal": lambda: draw.lognormvariate(math.log(0.4 * limit), 0.5),
        "limit": lambda: limit,
    }[shape]
    return [max(2, min(limit, int(drawn()))) for _ in range(count)]


@pytest.mark.parametrize("costs", [(0.05, 0.01), (0.5, 0.0005)], ids=["rows cost", "rows are free"])
@pytest.mark.parametrize(
    ("shape", "least"),
    [
        ("geometric", 0.7),
        ("geometric, long", 0.8),
        ("normal, long", 0.8),
        ("uniform", 0.75),
        ("limit", 0.75),
        ("log-normal", 0.35),  # the harder, the later most begin to end: until then nothing tells
    ],
)
def test_requests_that_begin_together_are_known_within_a_third_mostly(shape, least, costs):
    """80 with room for all: nobody has come further than those in flight."""
    errors = []
    for seed in range(2):
        lengths = lengths_of(shape, 80, 200, seed)
        played = Played(lengths, 200, 128, *costs, reading=0.1, every=2.0)
        played.play()
        errors += played.errors()
    assert sum(abs(error) <= 0.3 for error in errors) >= least * len(errors)


def test_time_that_others_take_is_none_of_the_engine_s():
    now = [0.0]
    estimate = StreamEstimate(10, lambda: now[0])
    estimate.resume()
    estimate.flying([1])
    for length in range(2, 6):
        now[0] += 1.0
        estimate.step([length])
        now[0] += 100.0  # somebody scores what has ended
        estimate.resume()
    assert estimate.left(0) == pytest.approx(5.0, rel=0.3)


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
    st.integers(1, 8),
    st.integers(0, 10**6),
)
def test_an_estimate_is_a_number_of_seconds_whatever_comes(lengths, slots, waiting):
    played = Played(lengths, 40, slots)
    played.play()
    estimate = StreamEstimate(40, lambda: 0.0)
    estimate.resume()
    estimate.flying([1] * slots)
    estimate.step([2] * slots)
    for left in [estimate.left(waiting), *(left for _, left in played.told)]:
        assert 0.0 <= left < float("inf")
