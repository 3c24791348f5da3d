"""A draw over several columns is several draws, each at its own position."""

from __future__ import annotations

import pytest
import torch

from harness.engines.base import Request, SamplingRules
from harness.engines.transformers.drawing import Drawing
from harness.engines.transformers.residents import Sequence

ROWS = [
    Sequence(
        i, Request((1,), 9, sampling=SamplingRules(temperature=t, top_k=k), seed=i, sample=str(i))
    )
    for i, (t, k) in enumerate([(0.0, None), (1.0, None), (2.0, 3), (0.7, 1)])
]


def test_columns_follow_one_another():
    logits = torch.randn(4, 3, 11, generator=torch.Generator().manual_seed(0))
    generated = [0, 4, 7, 2]
    drawing = Drawing.of(ROWS, torch.device("cpu"))
    tokens, scores = drawing.draw(logits, generated)
    for column in range(3):
        at = [count + column for count in generated]
        own, own_scores = drawing.draw(logits[:, column : column + 1], at)
        assert [row[column] for row in tokens] == [row[0] for row in own]
        assert [row[column] for row in scores] == pytest.approx([row[0] for row in own_scores])


def test_a_row_draws_the_same_in_any_company():
    logits = torch.randn(4, 1, 11, generator=torch.Generator().manual_seed(1))
    tokens, _ = Drawing.of(ROWS, torch.device("cpu")).draw(logits, [3, 3, 3, 3])
    backwards, _ = Drawing.of(ROWS[::-1], torch.device("cpu")).draw(logits.flip(0), [3, 3, 3, 3])
    assert tokens == backwards[::-1]
    assert tokens[0][0] == logits[0, 0].argmax()
