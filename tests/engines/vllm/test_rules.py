"""Every sampling rule, in every composition, draws the same tokens on both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.engines.contract import Request
from harness.sampling import registered
from harness.sampling.chosen import SamplingRules
from harness.sampling.composition import COMPOSITIONS

CHAIN = {"temperature": 1.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "typical": 0.95}


def asked() -> list[Request]:
    warm = {"temperature": 1.2}
    each = [
        SamplingRules(**({} if rule.draws else warm) | {rule.name: rule.example})
        for rule in registered()
        if rule.example is not None
    ]
    composed = [SamplingRules(compose=name, **CHAIN) for name in COMPOSITIONS]
    neutral = SamplingRules(tried=["min_p", "eta"], min_p=0.0, eta=0.0, **warm)
    return [
        Request((5, 6, 7, number), 12, sampling=rules, seed=2, sample=f"s{number}", draw=draw)
        for number, rules in enumerate([*each, *composed, neutral])
        for draw in range(2)
    ]


def test_every_rule_draws_the_same_on_both_engines(served):
    vllm, transformers = served
    requests = asked()
    ours, theirs = dict(transformers.generate(requests)), dict(vllm.generate(requests))
    for position, request in enumerate(requests):
        assert theirs[position].tokens == ours[position].tokens, request.sampling
    assert len({completion.tokens for completion in ours.values()}) > len(requests) / 2


def test_steps_are_logged_alike_on_both_engines(served):
    vllm, transformers = served
    requests = [replace(request, logged=True) for request in asked()[:8:2]]
    ours, theirs = dict(transformers.generate(requests)), dict(vllm.generate(requests))
    for position in range(len(requests)):
        one, other = ours[position], theirs[position]
        assert one.tokens == other.tokens
        assert one.traces.keys() == other.traces.keys() != set()
        for name, values in one.traces.items():
            assert values == pytest.approx(other.traces[name], abs=1e-4), name
