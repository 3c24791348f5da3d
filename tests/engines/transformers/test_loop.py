"""A run gives every slot back, whatever ends it, and one transfer to the host serves a step."""

from __future__ import annotations

import pytest
import torch

from harness.engines.contract import Request
from harness.engines.transformers import drawing
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.router_mask.description import RouterMask

REQUESTS = [
    Request(tuple(range(1, 4 + index % 5)), 3 + index % 6, RouterMask(points=((0, index % 8),)))
    for index in range(14)
]


@pytest.mark.parametrize("fail_at", [1, 2, 4, 7])
def test_an_error_in_the_middle_passes_through_and_leaves_the_engine_usable(moe, fail_at):
    expected = dict(TransformersEngine(moe, slots=3).generate(REQUESTS))
    engine = TransformersEngine(moe, slots=3)
    list(engine.generate(REQUESTS[:2]))
    passes = iter(range(1, 1000))

    def fail(module, args, kwargs):
        if next(passes) == fail_at:
            raise RuntimeError("planted")

    # transformers' own hooks stay where outputs were once recorded.
    hooks = [dict(module._forward_hooks) for module in moe.model.modules()]
    hook = moe.model.register_forward_pre_hook(fail, with_kwargs=True)
    try:
        with pytest.raises(RuntimeError, match="planted"):
            list(engine.generate(REQUESTS))
    finally:
        hook.remove()
    assert [dict(module._forward_hooks) for module in moe.model.modules()] == hooks
    again = dict(engine.generate(REQUESTS))
    assert {i: c.tokens for i, c in again.items()} == {i: c.tokens for i, c in expected.items()}
    assert engine._stage.running == []


def test_every_slot_is_returned_after_refusals_and_ends_of_all_kinds(moe):
    engine = TransformersEngine(moe, slots=3)
    refused = [Request((), 4), Request((1,), 0), Request((99,), 4)]
    reasons = {c.finish_reason for _, c in engine.generate([*refused, *REQUESTS])}
    assert reasons >= {"error", "length"}
    residents = engine._stage.residents
    assert residents.running == []
    assert len(residents._ended) <= engine._stage.cache.slots
    assert engine._stage.slots == 3


def test_a_step_costs_one_transfer_to_the_host(moe, monkeypatch):
    """Every pass draws once, for all of its rows; a prompt read in pieces draws at its end."""
    draws = []
    to_host = drawing._to_host

    def counted(choice, width):
        draws.append(choice.tokens.shape)
        return to_host(choice, width)

    monkeypatch.setattr(drawing, "_to_host", counted)
    engine = TransformersEngine(moe, slots=4, drafts=False)
    completions = dict(engine.generate(REQUESTS))
    tokens = sum(len(completion.tokens) for completion in completions.values())
    assert len(draws) <= engine.work.passes < tokens
    assert sum(shape[0] for shape in draws) == tokens


def test_nothing_is_left_of_gradients(moe):
    (_, completion), *_ = TransformersEngine(moe).generate(REQUESTS[:1])
    assert torch.is_grad_enabled()
    assert completion.tokens
