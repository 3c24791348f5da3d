"""Requests whose blocks vLLM gives to others, and which it computes again: as if it had not."""

from __future__ import annotations

import pytest
import torch

from harness.engines import open_engine
from harness.engines.contract import Capture, Reading, Request
from harness.engines.vllm import start
from harness.engines.vllm.engine import VllmEngine
from harness.engines.vllm.worker.model import ModelInterventions
from harness.spec import EngineSettings
from tests.engines.vllm.requests_of import DRAWS, GREEDY, interventions, prompts

_COLUMNS = 256
# Keys and values of one token of zoo/moe: 4 layers, 2 heads of 32 (padded) dimensions, float32.
_TOKEN = 2 * 4 * 4 * 2 * 32


@pytest.fixture(scope="module")
def cramped(vllm_installed):
    """zoo/moe in vLLM with room for one and a half of its longest sequences, and transformers."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(start, "_cache_bytes", lambda *_: int(1.5 * _COLUMNS) * _TOKEN)
        settings = EngineSettings(name="vllm", slots=8, columns=_COLUMNS, max_num_batched_tokens=64)
        vllm = VllmEngine("zoo/moe", settings)
    yield vllm, open_engine("zoo/moe", EngineSettings(dtype="float32"))
    vllm.close()


@pytest.fixture
def resumed(monkeypatch):
    """Ids of requests that the scheduler sends to the workers again, from their beginning."""
    ids = []
    original = ModelInterventions.scheduled

    def scheduled(self, output):
        ids.extend(output.scheduled_cached_reqs.resumed_req_ids)
        original(self, output)

    monkeypatch.setattr(ModelInterventions, "scheduled", scheduled)
    return ids


def test_generation_goes_on_where_it_was(cramped, resumed):
    vllm, transformers = cramped
    config = transformers.loaded.model.config
    block = vllm._engine.vllm_config.cache_config.block_size
    prompt = prompts(vllm.tokenizer)[1][: block - 4]  # soon to need a second block
    queue = [
        Request(prompt, 24, each, sampling=rules, sample=str(number))
        for number, each in enumerate(interventions(config))
        for rules in (GREEDY, DRAWS[0])
    ]
    ours = dict(vllm.generate(queue))
    theirs = dict(transformers.generate(queue))
    assert len(set(resumed)) > 4
    for place, own in ours.items():
        for field in ("tokens", "text", "finish_reason", "counts"):
            assert getattr(own, field) == getattr(theirs[place], field), field
        other = theirs[place].log_probabilities
        assert own.log_probabilities == pytest.approx(other, abs=1e-4)


def test_a_reading_that_was_interrupted_holds_every_position_once(cramped, resumed, monkeypatch):
    """Of its own accord vLLM reads prompts one by one; it is told to begin again in the middle."""
    vllm, transformers = cramped
    config = transformers.loaded.model.config
    one, other = prompts(vllm.tokenizer)
    capture = Capture(router_logits=True, hidden_layers=(0, 3), token_log_probabilities=True)
    readings = [Reading(one + other, capture, each, len(one)) for each in interventions(config)]
    step, steps = vllm._engine.step, []

    def interrupted():
        steps.append(None)
        if len(steps) % 7 == 2:
            assert vllm._engine.reset_prefix_cache(reset_running_requests=True)
        return step()

    monkeypatch.setattr(vllm._engine, "step", interrupted)
    ours = dict(vllm.forward(readings))
    theirs = dict(transformers.forward(readings))
    assert len(set(resumed)) > 4
    for place, own in ours.items():
        expected = theirs[place]
        assert torch.allclose(own.router_logits, expected.router_logits, atol=1e-4)
        for layer, states in expected.hidden.items():
            assert torch.allclose(own.hidden[layer], states, atol=1e-4)
        mine = own.token_log_probabilities
        assert torch.allclose(mine, expected.token_log_probabilities, atol=1e-4)
