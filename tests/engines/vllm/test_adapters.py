"""Adapters in vLLM, by its own LoRA support, beside transformers in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.engines import open_engine
from harness.engines.contract import Capture, Reading, Request, Scoring
from harness.engines.declared import Declared
from harness.engines.vllm.engine import VllmEngine
from harness.interventions.adapter.description import Adapter
from harness.interventions.adapter.lora import described
from harness.models.organisms import load_organism
from harness.spec import EngineSettings

MODEL, ROUNDING = "zoo/settled", 1e-4
PROMPTS = ((5, 100, 200, 300, 17, 33), (40, 41, 42), (300, 17, 9, 9, 12, 600, 3))


def adapter(variant, scale=1.0):
    folder = Path(load_organism("cake").variant(variant).adapter)
    return Adapter(content=described(folder).content, folder=str(folder), scale=scale)


@pytest.fixture(scope="module")
def served(vllm_installed):
    declared = Declared.of([adapter("default")])
    vllm = VllmEngine(MODEL, EngineSettings(name="vllm", slots=8), declared)
    yield vllm, open_engine(MODEL, EngineSettings(dtype="float32"))
    vllm.close()


def test_rows_of_one_batch_have_adapters_of_their_own(served):
    each = [None, adapter("default"), adapter("control-1"), adapter("default", 0.0)]
    requests = [Request(prompt, 12, one) for prompt in PROMPTS for one in each]
    own, other = (dict(engine.generate(requests)) for engine in served)
    told = set()
    for at in range(len(requests)):
        assert own[at].error is None
        assert own[at].tokens == other[at].tokens
        assert own[at].log_probabilities == pytest.approx(other[at].log_probabilities, abs=ROUNDING)
        told.add((own[at].tokens, at // len(each)))
    assert len(told) > len(PROMPTS), "adapters change what is said"


def test_scorings_and_readings_have_them_too(served):
    tuned = adapter("default")
    scorings = [Scoring(PROMPTS[0], (PROMPTS[1], PROMPTS[2]), one) for one in (None, tuned)]
    own, other = (dict(engine.score(scorings)) for engine in served)
    for at in range(len(scorings)):
        for mine, theirs in zip(
            own[at].log_probabilities, other[at].log_probabilities, strict=True
        ):
            assert mine == pytest.approx(theirs, abs=ROUNDING)
    assert own[0].log_probabilities != own[1].log_probabilities
    capture = Capture(hidden_layers=(1,), token_log_probabilities=True)
    readings = [Reading(prompt, capture, tuned) for prompt in PROMPTS]
    mine, theirs = (dict(engine.forward(readings)) for engine in served)
    for at in range(len(readings)):
        assert torch.allclose(mine[at].hidden[1], theirs[at].hidden[1], atol=ROUNDING)


def test_another_scale_is_refused_by_name(served):
    vllm, _ = served
    ((_, found),) = vllm.generate([Request(PROMPTS[0], 3, adapter("default", 0.5))])
    assert "intervention adapter at scale 0.5: vllm applies adapters at scale 1" in found.error


def test_what_was_not_declared_cannot_be_learnt(vllm_installed):
    vllm = VllmEngine(MODEL, EngineSettings(name="vllm", slots=2))
    try:
        ((_, found),) = vllm.generate([Request(PROMPTS[0], 3, adapter("default"))])
        assert "adapters of rank 4, which were not declared when the engine started" in found.error
    finally:
        vllm.close()
