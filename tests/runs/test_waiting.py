"""Sources of several steps, answered in any order: who gets what, and what is asked once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from harness.engines.contract import Scored, Scoring
from harness.errors import StoreError
from harness.runs.plan import Address
from harness.runs.waiting import Waiting


@dataclass
class Halving:
    """Asks about `width` numbers, then about half of those that it heard of, until none is left."""

    case: str
    width: int
    heard: list = field(default_factory=list)

    def next(self, step, observations):
        if step:
            assert all(place.step == step - 1 for place in observations)
            assert all(
                reply.log_probabilities == ((-place.draw,),)
                for place, reply in observations.items()
            )
            self.heard.append(len(observations))
        width = len(observations) // 2 if step else self.width
        return [
            (Address(self.case, "s", number, step), Scoring((step,), ((number,),)))
            for number in range(width)
        ]


def reply_to(asked):
    ((number,),) = asked.continuations
    return Scored(((-number,),))


def answer(waiting, asked):
    return waiting.take(asked, reply_to(asked), stored=True)


@pytest.mark.parametrize("held", [0, 7, 10**6])
@pytest.mark.parametrize("seed", range(5))
def test_every_step_gets_the_replies_to_the_one_before(monkeypatch, seed, held):
    """Also of those that are not held, which are found again."""
    monkeypatch.setattr("harness.runs.waiting.HELD", held)
    draw = random.Random(seed)
    sources = {name: Halving(name, draw.randint(1, 20)) for name in "abc"}
    waiting = Waiting(reply_to)
    queue = [asked for name, each in sources.items() for _, asked in waiting.begin(name, each)]
    queue = list(dict.fromkeys(queue))
    made = []
    while queue:
        asked = queue.pop(draw.randrange(len(queue)))
        made.append(asked)
        answer(waiting, asked)
        queue += waiting.grown
        waiting.grown = []
    assert len(set(made)) == len(made)
    for name, source in sources.items():
        expected = [source.width]
        while expected[-1] > 1:
            expected.append(expected[-1] // 2)
        assert source.heard == expected
        assert waiting[name] == 0
        assert len(waiting.replies(name)) == sum(expected)


def test_a_case_that_comes_late_has_its_answers_at_once():
    waiting = Waiting()
    early, late = Halving("early", 4), Halving("late", 5)
    first = [asked for _, asked in waiting.begin("early", early)]
    (*_, last) = [asked for _, asked in waiting.begin("late", late)]
    for asked in first:
        answer(waiting, asked)
    while waiting.grown:
        answer(waiting, waiting.grown.pop())
    assert early.heard == [4, 2, 1]
    assert late.heard == []
    answer(waiting, last)
    assert late.heard == [5, 2, 1]
    assert not waiting.grown


def test_what_was_refused_is_a_reply_that_nobody_waits_for():
    waiting = Waiting()
    waiting.begin("case", Halving("case", 2))
    place = Address("case", "t", 0)
    waiting.refuse({place: "no room"})
    assert waiting["case"] == 2
    assert waiting.replies("case")[place].error == "no room"


def test_a_reply_that_is_neither_held_nor_stored_any_more_is_told(monkeypatch):
    monkeypatch.setattr("harness.runs.waiting.HELD", 0)
    waiting = Waiting()
    ((_, asked),) = waiting.begin("a", Halving("a", 1, [1]))
    with pytest.raises(StoreError, match="a: the reply to s, draw 0, was taken from the store"):
        answer(waiting, asked)
