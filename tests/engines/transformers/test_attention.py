"""Grouped attention against transformers' own kernel, which copies shared heads."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from harness.engines.transformers import attention
from harness.engines.transformers.attention import (
    NAME,
    grouped_attention,
    grouped_sdpa,
    row_groups,
)
from harness.engines.transformers.cache_sizes import CacheSize
from harness.engines.transformers.passes import Passes, Work, padded
from harness.engines.transformers.stage import Stage


@settings(deadline=None)
@given(
    rows=st.integers(1, 3),
    groups=st.integers(1, 2),
    shared=st.integers(1, 3),
    width=st.integers(1, 4),
    keys=st.integers(4, 9),
    scale=st.sampled_from([None, 0.3]),
)
def test_shared_heads_attend_as_if_they_were_copied(rows, groups, shared, width, keys, scale):
    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))

    query = draw(rows, groups * shared, width, 8)
    key, value = draw(rows, groups, keys, 8), draw(rows, groups, keys, 8).flip(-1)
    mask = torch.zeros(rows, 1, width, keys)
    mask[:, :, :, -2:] = torch.finfo(torch.float32).min
    module = SimpleNamespace(num_key_value_groups=shared, is_causal=True)
    own, _ = grouped_sdpa(module, query, key, value, mask, scaling=scale)
    expected, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=scale)
    assert own.shape == (rows, width, groups * shared, 8)
    torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-5)


@settings(deadline=None)
@given(width=st.integers(1, 9), behind=st.integers(0, 5), piece=st.integers(1, 4))
def test_pieces_of_a_prompt_attend_as_all_of_it(width, behind, piece):
    torch.manual_seed(0)
    keys = behind + width
    query, key, value = (torch.randn(2, *shape, 8) for shape in ((4, width), (2, keys), (2, keys)))
    mask = torch.full((2, 1, width, keys), torch.finfo(torch.float32).min).triu(behind + 1)
    module = SimpleNamespace(num_key_value_groups=2, is_causal=True)
    expected, _ = sdpa_attention_forward(module, query, key, value, mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "_PIECE", piece)
        own, _ = grouped_sdpa(module, query, key, value, mask)
    torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-5)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=9),
    width=st.integers(1, 5),
    group=st.integers(1, 4),
    align_ends=st.booleans(),
)
def test_groups_of_rows_attend_as_all_of_them(moe, lengths, width, group, align_ends):
    """Rows that have so many columns already, and read `width` tokens more or, padded, fewer."""
    fed = [list(range(1, 2 + length % width)) for length in lengths]
    _, positions = padded(fed, lengths, width, align_ends=align_ends)
    stage = Stage(moe.model, CacheSize(len(lengths), 0, 64))
    passes = Passes(moe, stage, Work(), strict=False)
    visible = passes.columns(max(lengths) + width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.engines.transformers.passes._GROUP", group)
        groups = passes.groups(positions, visible)
    assert [row for each in groups for row in range(len(lengths))[each.rows]] == list(
        range(len(lengths))
    )
    assert all(each.columns <= visible for each in groups)
    torch.manual_seed(0)
    query, key, value = (
        torch.randn(len(lengths), *shape, 8) for shape in ((4, width), (2, visible), (2, visible))
    )
    mask = stage.masks.build(positions, torch.arange(visible), torch.float32)
    module = SimpleNamespace(num_key_value_groups=2, is_causal=True)
    expected, _ = grouped_sdpa(module, query, key, value, mask)
    with row_groups(groups):
        own, _ = grouped_sdpa(module, query, key, value, mask)
    torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-5)


def test_the_models_own_kernel_is_back_afterwards_and_after_an_error(moe):
    config = moe.model.config
    with grouped_attention(moe.model):
        assert config._attn_implementation == NAME
    with pytest.raises(RuntimeError, match="planted"), grouped_attention(moe.model):
        raise RuntimeError("planted")
    assert config._attn_implementation == "sdpa"
    moe.model.set_attn_implementation("eager")
    try:
        with grouped_attention(moe.model):
            assert config._attn_implementation == "eager"
    finally:
        moe.model.set_attn_implementation("sdpa")
