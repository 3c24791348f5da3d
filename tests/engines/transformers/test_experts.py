"""The same bits as transformers' own products, for every architecture with experts."""

from __future__ import annotations

import pytest
import torch

from harness.engines.transformers.experts import NAME, experts_as

KINDS = ["qwen2_moe", "qwen3_moe", "qwen3_moe-unnormalised", "olmoe", "mixtral", "gpt_oss-mixed"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 7, 40])
def test_logits_are_equal_bit_for_bit(tiny_model, kind, tokens):
    model = tiny_model(kind).model
    ids = torch.randint(1, 48, (2, tokens), generator=torch.Generator().manual_seed(tokens))
    assert model.config._experts_implementation == "grouped_mm"
    with torch.inference_mode():
        expected = model(ids).logits
        with experts_as(model, strict=False):
            assert model.config._experts_implementation == NAME
            assert torch.equal(model(ids).logits, expected)
    assert model.config._experts_implementation == "grouped_mm"


def test_another_implementation_is_left_alone(tiny_model):
    model = tiny_model("qwen3_moe").model
    model.set_experts_implementation("batched_mm")
    try:
        with experts_as(model, strict=False):
            assert model.config._experts_implementation == "batched_mm"
    finally:
        model.set_experts_implementation("grouped_mm")
    dense = tiny_model("llama").model
    with experts_as(dense, strict=False):
        dense(torch.tensor([[1, 2]]))


def test_strict_makes_every_token_its_own_and_leaves_nothing_behind(tiny_model):
    model = tiny_model("qwen3_moe").model
    with experts_as(model, strict=True):
        assert model.config._experts_implementation == "batched_mm"
    assert model.config._experts_implementation == "grouped_mm"
    dense = tiny_model("llama").model
    with experts_as(dense, strict=True):
        dense(torch.tensor([[1, 2]]))
