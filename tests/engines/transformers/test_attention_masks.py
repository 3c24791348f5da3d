"""Masks against their definition, position by position."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.transformers.attention_masks import AttentionMasks


def masks(**text) -> AttentionMasks:
    return AttentionMasks(SimpleNamespace(get_text_config=lambda: SimpleNamespace(**text)))


@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    width=st.integers(1, 5),
    columns=st.integers(13, 20),
    window=st.none() | st.integers(1, 9),
)
def test_a_token_sees_itself_and_what_is_before_it_in_its_window(lengths, width, columns, window):
    queries = torch.tensor(lengths)[:, None] - width + 1 + torch.arange(width)
    queries = queries.clamp(min=-1)
    mask = masks(sliding_window=window).build(queries, torch.arange(columns), torch.float32)
    assert mask.shape == (len(lengths), 1, width, columns)
    for row, positions in enumerate(queries.tolist()):
        for column, position in enumerate(positions):
            seen = (mask[row, 0, column] == 0).nonzero().flatten().tolist()
            if position < 0:
                assert seen, "a row of nothing would be NaN"
            else:
                first = 0 if window is None else max(0, position - window + 1)
                assert seen == list(range(first, position + 1))


def test_padding_is_seen_by_nobody():
    positions = torch.tensor([[-1, -1, 0, 1], [0, 1, 2, 3]])
    mask = masks(sliding_window=None).build(positions, positions, torch.float32)[:, 0] == 0
    assert not mask[0, 2:, :2].any()
    assert mask[1].equal(torch.ones(4, 4).tril().bool())


def test_mixed_layers_get_a_mask_each():
    built = masks(sliding_window=2, layer_types=["sliding_attention", "full_attention"]).build(
        torch.tensor([[5]]), torch.arange(8), torch.float32
    )
    assert (built["full_attention"] == 0).sum() == 6
    assert (built["sliding_attention"] == 0).sum() == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masks_are_additive_and_finite(dtype):
    mask = masks(sliding_window=None).build(torch.tensor([[1]]), torch.arange(3), dtype)
    assert mask.dtype == dtype
    assert mask.flatten().tolist() == [0, 0, torch.finfo(dtype).min]


def test_all_layers_full_ignores_a_configured_window():
    built = masks(sliding_window=2, layer_types=["full_attention"] * 2)
    assert (built.build(torch.tensor([[5]]), torch.arange(8), torch.float32) == 0).sum() == 6
