"""Prefixes that are read once: under every intervention, and across calls."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers import row_interventions
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.base import Intervention
from harness.interventions.router_mask.description import RouterMask
from tests.engines.transformers.small_requests import PROPERTY, alone, assert_equal, run


class Shift(Intervention):
    """Adds a constant to block 0's output at generated positions: shares every prompt."""

    mechanism: ClassVar = "shift"
    kind: str = "shift"
    amount: float
    start: int

    def neutral(self):
        return self.model_copy(update={"amount": 0.0})

    def prefix_key(self, length, prompt):
        return "" if length <= self.start else self.fingerprint()


class ShiftRows:
    """The smallest `RowInterventions`: one number per slot."""

    def __init__(self, kind, model, slots, columns):
        self.block = model.model.layers[0]
        self.amount = torch.zeros(slots)
        self.start = torch.zeros(slots, dtype=torch.long)
        self.now = None

    def check(self, intervention):
        pass

    def attach(self):
        self.hook = self.block.register_forward_hook(self.shift)

    def detach(self):
        self.hook.remove()

    def shift(self, module, inputs, output):
        slots, positions = self.now
        amount = torch.where(
            positions >= self.start[slots][:, None], self.amount[slots][:, None], 0.0
        )
        return output + amount[:, :, None]

    def assign(self, slot, intervention, kept, prompt):
        self.amount[slot] = intervention.amount if intervention else 0.0
        self.start[slot] = intervention.start if intervention else 0

    def copy(self, source, target, columns):
        pass

    def move(self, source, target, columns):
        self.amount[target], self.start[target] = self.amount[source], self.start[source]

    def swap(self, one, other, columns):
        for table in (self.amount, self.start):
            table[[one, other]] = table[[other, one]]

    def begin(self, slots, positions, columns):
        self.now = (slots, positions)

    def end(self):
        self.now = None

    def counts(self, slot, columns):
        return {}


@pytest.fixture
def shift_kind(monkeypatch):
    monkeypatch.setitem(row_interventions.MECHANISMS, "shift", ShiftRows)


def shifts(prompt: tuple[int, ...], amounts: list[float], new: int = 6) -> list[Request]:
    return [
        Request(prompt, new, Shift(amount=a, start=len(prompt)), sample=str(a)) for a in amounts
    ]


def test_one_prefill_serves_a_prompt_under_every_intervention_on_generated_positions(
    moe, shift_kind
):
    (prompt,) = [tuple(range(1, 41))]
    requests = shifts(prompt, [0.0, 0.5, 1.0, 2.0, 4.0])
    engine = TransformersEngine(moe, drafts=False)
    completions = run(engine, requests)
    # Four of five prompts are copied but for the last token, whose logits are needed.
    assert engine._stage.residents.reused_columns == 4 * (len(prompt) - 1)
    for request, completion in zip(requests, completions, strict=True):
        assert_equal(completion, alone(moe, request))
    assert len({completion.tokens for completion in completions}) > 1


@PROPERTY
@given(
    shared=st.integers(0, 40),
    tails=st.lists(st.lists(st.integers(1, 47), min_size=1, max_size=8), min_size=1, max_size=4),
    amounts=st.lists(st.sampled_from([0.0, 1.0, 3.0]), min_size=1, max_size=3),
    rounds=st.integers(1, 3),
    slots=st.integers(1, 4),
)
def test_reused_and_recomputed_agree(moe, shift_kind, shared, tails, amounts, rounds, slots):
    """Rounds of requests that share prefixes and extend what came back, under three doses."""
    engine = TransformersEngine(moe, slots=slots)
    stem = tuple(1 + index % 47 for index in range(shared))
    prompts_ = [stem + tuple(tail) for tail in tails]
    for _ in range(rounds):
        requests = [request for prompt in prompts_ for request in shifts(prompt, amounts, new=3)]
        completions = run(engine, requests)
        for request, completion in zip(requests, completions, strict=True):
            assert_equal(completion, alone(moe, request))
        prompts_ = [
            (request.prompt + completion.tokens)[:50]
            for request, completion in zip(requests, completions, strict=True)
        ][: len(tails)]


def test_a_request_that_extends_a_resident_sequence_continues_from_it(moe):
    engine = TransformersEngine(moe, drafts=False)
    prompt = tuple(range(1, 31))
    for _ in range(4):
        before = engine._stage.residents.reused_columns if engine._stage else 0
        stage = engine._stage
        (completion,) = run(engine, [Request(prompt, 4)])
        assert_equal(completion, alone(moe, Request(prompt, 4)))
        if stage is engine._stage:
            # All that was computed in the last round; only its last token is read now.
            assert engine._stage.residents.reused_columns - before == len(prompt) - 1
        prompt += completion.tokens
    assert engine.work.passes == 4


@pytest.mark.parametrize(
    "changed",
    [
        RouterMask(points=((0, 1),)),
        RouterMask(points=((0, 1), (0, 2)), mode="replace_topk"),
        RouterMask(points=((0, 1), (0, 2)), on_empty="zero"),
        None,
    ],
)
def test_a_changed_mask_never_reuses(moe, changed):
    first = Request(tuple(range(1, 41)), 4, RouterMask(points=((0, 1), (0, 2))))
    second = Request(first.prompt, 4, changed)
    engine = TransformersEngine(moe, drafts=False)
    run(engine, [first])
    run(engine, [first])
    reused = engine._stage.residents.reused_columns
    assert reused > 0
    (completion,) = run(engine, [second])
    assert engine._stage.residents.reused_columns == reused
    assert_equal(completion, alone(moe, second))


def test_the_least_recently_used_sequence_makes_room(moe):
    """Three slots hold the last sequences used; asking for one that was dropped reads it again."""
    stems = {name: (first,) * 20 for first, name in enumerate("abcd", start=1)}
    engine = TransformersEngine(moe, slots=3, drafts=False)
    run(engine, [Request(stems[name], 2) for name in "abc"])
    residents = engine._stage.residents
    held = []
    for name in "adabcd":
        before = residents.reused_columns
        run(engine, [Request(stems[name], 2)])
        held.append(residents.reused_columns > before)
    assert engine._stage.residents is residents
    # a is there; d takes the place of c, the oldest; a goes on in its own place, so that b is still
    # there; then c takes that of d, and so on in turn.
    assert held == [True, False, True, True, False, False]
