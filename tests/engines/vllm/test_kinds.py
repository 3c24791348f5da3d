"""Kinds that no engine knows, on vLLM beside transformers: by their mechanisms alone."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from harness.engines.contract import Capture, Reading, Request, SamplingRules
from harness.interventions.array import Array
from harness.interventions.router_logits import ExpertMask, RouterLogits, Routing, route
from harness.models.sites import hidden_shape
from tests.engines.vllm.requests_of import prompts
from tests.kinds.flatten import Flatten
from tests.kinds.nudge import Nudge


class Mute(RouterLogits):
    """One expert is muted in every layer, which is a mask to engines that know masks."""

    kind: Literal["mute"] = "mute"
    expert: int | None = None

    def neutral(self):
        return Mute()

    def rows(self, layers, experts):
        muted = torch.zeros(len(layers), experts, dtype=torch.bool)
        if self.expert is not None:
            muted[:, self.expert] = True
        return {"muted": muted}

    @staticmethod
    def routed(logits, scores, indices, rows) -> Routing:
        muted = rows["muted"]
        never = torch.zeros_like(muted[:, 0])
        return route(logits, scores, indices, mask=muted, replace=None, zero_on_empty=never)

    def masked(self):
        layers = () if self.expert is None else range(4)
        points = tuple((layer, self.expert) for layer in layers)
        return ExpertMask(points, replace=False, zero=False)


def all_of(engine, queue):
    completions = dict(engine.generate(queue))
    return [completions[place] for place in range(len(queue))]


def test_other_kinds_give_what_transformers_gives(served):
    vllm, transformers = served
    config = transformers.loaded.model.config
    layers, width = hidden_shape(config)
    signs = Array([1.0, -1.0] * (width // 2))
    own = [Nudge(layer=layers - 1, amount=each, signs=signs) for each in (0.0, 0.5, -4.0)]
    queue = [
        Request(prompt, 5, each, SamplingRules(temperature=warmth), sample=str(number))
        for number, prompt in enumerate(prompts(vllm.tokenizer)[:2])
        for each in (None, *own)
        for warmth in (0.0, 1.0)
    ]
    theirs = all_of(transformers, queue)
    assert len({each.log_probabilities for each in theirs}) > 4
    for mine, other in zip(all_of(vllm, queue), theirs, strict=True):
        assert mine.tokens == other.tokens
        assert mine.counts == other.counts
        assert mine.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


def test_texts_are_read_under_other_kinds(served):
    vllm, transformers = served
    _, width = hidden_shape(transformers.loaded.model.config)
    nudge = Nudge(layer=1, amount=2.0, signs=Array([1.0] * width))
    reading = Reading(
        prompts(vllm.tokenizer)[0], Capture(token_log_probabilities=True), nudge, prompt=3
    )
    (((_, mine),), ((_, other),)) = (each.forward([reading]) for each in served)
    assert torch.allclose(
        mine.token_log_probabilities, other.token_log_probabilities, atol=1e-3, rtol=0
    )


def test_routings_that_are_a_mask_are_applied_and_others_refused(served):
    vllm, transformers = served
    prompt = prompts(vllm.tokenizer)[0]
    queue = [Request(prompt, 4, Mute(expert=expert)) for expert in (None, 0, 3)]
    for mine, other in zip(all_of(vllm, queue), all_of(transformers, queue), strict=True):
        assert mine.tokens == other.tokens
        assert mine.counts == other.counts
    (refused,) = all_of(vllm, [Request(prompt, 4, Flatten(share=0.5))])
    assert refused.finish_reason == "error"
    assert "flatten changes routings by more than a mask of experts" in refused.error
