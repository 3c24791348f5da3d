"""`compose: vllm` keeps what vLLM's own sampler keeps: its min-p processor, its top-k and top-p."""

from __future__ import annotations

import pytest
import torch

from tests.engines.decoding.steps_of import assert_the_same, left, steps


def kept_by_vllm(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None):
    """Logits under vLLM's own functions, in its order."""
    from vllm.v1.sample.logits_processor.builtin import MinPLogitsProcessor
    from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p
    from vllm.v1.sample.sampler import Sampler

    rows = len(logits)
    warm = Sampler.apply_temperature(
        logits.clone(), torch.full((rows,), temperature), all_random=True
    )
    if min_p is not None:
        processor = object.__new__(MinPLogitsProcessor)
        processor.min_p_count, processor.min_p = rows, torch.full((rows, 1), min_p)
        warm = processor.apply(warm)
    if top_k is not None or top_p is not None:
        k = None if top_k is None else torch.full((rows,), top_k)
        p = None if top_p is None else torch.full((rows,), top_p)
        warm = apply_top_k_top_p(warm.clone(), k, p)
    return warm


@pytest.mark.parametrize(
    "values",
    [
        {"top_k": 7},
        {"top_p": 0.9},
        {"min_p": 0.05},
        {"temperature": 1.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05},
        {"temperature": 0.7, "top_k": 20, "top_p": 0.95, "min_p": 0.1},
    ],
    ids=str,
)
def test_vllm_keeps_what_its_sampler_keeps(vllm_installed, values):
    logits = steps()
    own = left(logits, compose="vllm", **values)
    assert_the_same(own, kept_by_vllm(logits, **values), values)
