"""`compose: vllm` keeps what vLLM's own sampler keeps: its min-p processor, its top-k and top-p."""

from __future__ import annotations

import pytest
import torch

from tests.engines.decoding.steps_of import first, left, steps


def kept_by_vllm(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None):
    """Logits under vLLM's own functions, in its order, with ties at a count decided."""
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
    if top_k is not None:
        cut = apply_top_k_top_p(warm.clone(), torch.full((rows,), top_k), None)
        # It keeps every token that ties with the k-th.
        warm = first(warm, cut.isfinite().sum(-1).clamp(max=top_k))
    if top_p is not None:
        cut = apply_top_k_top_p(warm.clone(), None, torch.full((rows,), top_p))
        warm = first(warm, cut.isfinite().sum(-1))
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
    own, expected = left(logits, compose="vllm", **values), kept_by_vllm(logits, **values)
    assert torch.equal(own, expected)
