"""A pass feeds rows of unequal lengths and reads no column that is not theirs."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.transformers.cache_sizes import CacheSize
from harness.engines.transformers.passes import Passes, Work, padded
from harness.engines.transformers.stage import Stage


@given(
    rows=st.lists(st.tuples(st.lists(st.integers(1, 9), max_size=6), st.integers(0, 50))),
    extra=st.integers(0, 3),
    align_ends=st.booleans(),
)
def test_padding_is_marked_and_tokens_keep_their_positions(rows, extra, align_ends):
    width = max((len(row) for row, _ in rows), default=0) + extra
    tokens, positions = padded(
        [row for row, _ in rows], [start for _, start in rows], width, align_ends=align_ends
    )
    for (row, start), own, at in zip(rows, tokens.tolist(), positions.tolist(), strict=True):
        kept = slice(width - len(row), width) if align_ends else slice(0, len(row))
        assert own[kept] == row
        assert at[kept] == list(range(start, start + len(row)))
        assert sum(position == -1 for position in at) == width - len(row)


def test_steps_see_the_columns_before_them_and_no_others(moe):
    """Three rows of unequal lengths, token by token, in a cache that was full of something else."""
    work = Work()
    stage = Stage(moe.model, CacheSize(3, 0, 32))
    passes = Passes(moe, stage, work, strict=False)
    texts = [[5, 6, 7, 8, 9, 10], [11, 12], [13, 14, 15, 16]]
    with torch.inference_mode():
        noise = torch.randint(1, 48, (3, 32))
        passes.forward(noise, torch.arange(32).expand(3, 32), 0, 32, last_only=True)
        rows = [[] for _ in texts]
        for step in range(6):
            fed = [text[step : step + 1] for text in texts]
            tokens, positions = padded(fed, [step] * 3, 1, align_ends=False)
            logits = passes.forward(tokens, positions, 0, passes.columns(step + 1), last_only=True)
            for row, token in enumerate(fed):
                rows[row] += [logits[row, 0]] if token else []
        for text, own in zip(texts, rows, strict=True):
            expected = moe.model(torch.tensor([text])).logits[0]
            torch.testing.assert_close(torch.stack(own), expected, atol=1e-4, rtol=1e-4)
    assert work.passes == 7


def test_columns_are_rounded_up_to_the_capacity_and_fixed_where_shapes_are(moe):
    stage = Stage(moe.model, CacheSize(1, 0, 64))
    fast, strict = (Passes(moe, stage, Work(), strict=strict) for strict in (False, True))
    assert [fast.columns(needed) for needed in (1, 32, 33, 64)] == [32, 32, 64, 64]
    assert strict.columns(1) == 64
