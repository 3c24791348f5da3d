"""Small prompts, their completions in order, and what each must be equal to."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, settings

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine


def prompts(count: int, seed: int = 0, longest: int = 20) -> list[tuple[int, ...]]:
    draw = random.Random(seed)
    return [
        tuple(draw.randrange(1, 48) for _ in range(draw.randint(1, longest))) for _ in range(count)
    ]


def run(engine: TransformersEngine, requests: list[Request]) -> list:
    completions = dict(engine.generate(requests))
    assert sorted(completions) == list(range(len(requests)))
    return [completions[index] for index in range(len(requests))]


PROPERTY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_equal(completion, alone) -> None:
    assert completion.tokens == alone.tokens
    assert completion.text == alone.text
    assert completion.finish_reason == alone.finish_reason
    assert completion.counts == alone.counts
    assert completion.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-4)


def alone(loaded, request: Request):
    """A request by itself: one slot, nothing drafted, nothing resident."""
    (completion,) = run(TransformersEngine(loaded, slots=1, drafts=False), [request])
    return completion
