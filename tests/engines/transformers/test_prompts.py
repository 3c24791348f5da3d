"""Prompts read in any pieces give the logits that the model gives for the whole prompt."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers import prompts
from harness.engines.transformers.cache_sizes import CacheSize
from harness.engines.transformers.passes import Passes, Work
from harness.engines.transformers.residents import Resident
from harness.engines.transformers.stage import Stage

PROPERTY = settings(max_examples=25, deadline=None)


@PROPERTY
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    tokens=st.sampled_from([5, 40, 8192]),
    cost=st.sampled_from([0, 128]),
    strict=st.booleans(),
)
def test_logits_are_the_models_own(moe, lengths, tokens, cost, strict):
    stage = Stage(moe.model, CacheSize(len(lengths), 0, 64))
    work = Work()
    passes = Passes(moe, stage, work, strict=strict)
    for position, length in enumerate(sorted(lengths)):
        prompt = tuple(1 + (7 * position + index) % 47 for index in range(length))
        stage.residents.open(Resident(position, Request(prompt, 1)))
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(prompts, "_PASS_TOKENS", tokens)
        patch.setattr(prompts, "_PASS_COST", cost)
        logits = prompts.read_prompts(passes, stage.running, strict=strict)
        expected = [
            moe.model(torch.tensor([sequence.request.prompt])).logits[0, -1]
            for sequence in stage.running
        ]
    assert logits.shape == (len(lengths), 1, 48)
    torch.testing.assert_close(logits[:, 0], torch.stack(expected), atol=1e-4, rtol=1e-4)
    assert work.passes >= 1


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=30).map(sorted),
    tokens=st.integers(1, 400),
)
def test_passes_are_bounded_and_hold_neighbours(lengths, tokens):
    sequences = [Resident(i, Request((1,) * length, 1)) for i, length in enumerate(lengths)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "_PASS_TOKENS", tokens)
        parts = list(prompts._of_similar_width(sequences))
    assert [sequence for part in parts for sequence in part] == sequences
    for part in parts:
        assert len(part) == 1 or len(part) * max(map(prompts.missing, part)) <= tokens


@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=8).map(sorted))
def test_no_split_is_cheaper(lengths):
    """Counting what is padded, and 128 tokens for every pass."""
    sequences = [Resident(i, Request((1,) * length, 1)) for i, length in enumerate(lengths)]
    found = [len(part) for part in prompts._of_similar_width(sequences)]
    cuts = [
        [*(at for at in range(1, len(lengths)) if chosen >> at & 1), len(lengths)]
        for chosen in range(2 ** len(lengths))
    ]
    every = [[end - begin for begin, end in pairwise([0, *ends])] for ends in cuts]
    assert _cost(lengths, found) == min(_cost(lengths, sizes) for sizes in every)


def _cost(lengths, sizes):
    ends = list(accumulate(sizes))
    return sum(size * lengths[end - 1] + 128 for size, end in zip(sizes, ends, strict=True))
