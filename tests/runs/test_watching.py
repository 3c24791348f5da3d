"""A stream's watch, with a clock that is moved by hand: what a run is told between completions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.resolve.progress import Counts
from harness.runs.watching import StreamWatch


class Told:
    """Keeps what it was told, as of then."""

    def __init__(self):
        self.tokens, self.left = [], []

    def update(self, counts):
        self.tokens.append(counts.tokens + counts.in_flight)
        self.left.append(counts.left)


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


def watch(clock, counts, told, waiting):
    made = StreamWatch(counts, told, limit=100, cases=2, clock=lambda: clock.now)
    made.waiting = waiting
    made.resume()
    return made


def test_tokens_in_flight_are_told_from_the_first_pass_on(clock):
    counts, told = Counts(cases_total=2, requests_total=4), Told()
    stream = watch(clock, counts, told, 4)
    clock.now = 1.0
    stream.read(30)
    stream.flying([1, 1])
    clock.now = 2.0
    stream.step([2, 2])
    assert told.tokens == [0, 4]
    assert told.left[0] is None
    assert told.left[-1] > 0
    assert counts.seconds == stream.seconds == 2.0
    assert counts.speed == "2 tokens/s"
    stream.close()
    assert (counts.in_flight, counts.left) == (0, None)


def test_what_has_just_ended_waits_for_nothing(clock):
    """A pass that ends everything is followed by an estimate before anybody was handed anything."""
    counts, told = Counts(cases_total=2, requests_total=40), Told()
    stream = watch(clock, counts, told, 40)
    stream.flying([1] * 40)
    for length in range(2, 101):
        clock.now += 1.0
        stream.step([length] * 40 if length < 100 else [])
    assert told.left[-1] == pytest.approx(0.0, abs=1.0)


def test_models_that_were_not_met_yet_are_taken_to_be_as_slow(clock):
    left = []
    for total in (2, 6):
        clock.now = 0.0
        counts, told = Counts(cases_total=total, cases_met=2, requests_total=1), Told()
        stream = watch(clock, counts, told, 1)
        stream.flying([1])
        clock.now = 10.0
        stream.step([2])
        left.append(told.left[-1])
    assert left[1] == pytest.approx(3 * left[0] + 20.0)


def test_scorings_take_what_those_before_took(clock):
    counts, told = Counts(cases_total=2, cases_met=2), Told()
    stream = watch(clock, counts, told, 0)
    stream.scoring, stream.scorings = True, 30
    clock.now = 4.0
    stream.read(100)
    assert told.left[-1] is None
    for _ in range(10):
        stream.scored()
    clock.now = 5.0
    stream.read(100)
    assert told.left[-1] == pytest.approx(5.0 / 10 * 20)
    stream.close()
    assert counts.left is None
