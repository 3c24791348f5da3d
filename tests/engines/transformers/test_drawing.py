"""A draw over several columns is several draws, each at its own position."""

from __future__ import annotations

import pytest
import torch

from harness.engines.contract import Request
from harness.engines.transformers import drawing
from harness.engines.transformers.drawing import Drawing
from harness.engines.transformers.residents import Resident
from harness.sampling.chosen import SamplingRules

ROWS = [
    Resident(
        i, Request((1,), 9, sampling=SamplingRules(temperature=t, top_k=k), seed=i, sample=str(i))
    )
    for i, (t, k) in enumerate([(0.0, None), (1.0, None), (2.0, 3), (0.7, 1)])
]


def test_columns_follow_one_another():
    logits = torch.randn(4, 3, 11, generator=torch.Generator().manual_seed(0))
    generated = [0, 4, 7, 2]
    drawing = Drawing.of(ROWS, torch.device("cpu"))
    tokens, scores, *_ = drawing.draw(logits, generated)
    for column in range(3):
        at = [count + column for count in generated]
        own, own_scores, *_ = drawing.draw(logits[:, column : column + 1], at)
        assert [row[column] for row in tokens] == [row[0] for row in own]
        assert [row[column] for row in scores] == pytest.approx([row[0] for row in own_scores])


def test_a_row_draws_the_same_in_any_company():
    logits = torch.randn(4, 1, 11, generator=torch.Generator().manual_seed(1))
    tokens, *_ = Drawing.of(ROWS, torch.device("cpu")).draw(logits, [3, 3, 3, 3])
    backwards, *_ = Drawing.of(ROWS[::-1], torch.device("cpu")).draw(logits.flip(0), [3, 3, 3, 3])
    assert tokens == backwards[::-1]
    assert tokens[0][0] == logits[0, 0].argmax()


@pytest.mark.parametrize("most", [1, 3 * 64, 2**22])
def test_drawing_in_parts_draws_the_same(monkeypatch, most):
    """What is drawn from at once bounds memory and changes nothing, not one bit."""
    rules = [SamplingRules(temperature=temperature, top_p=0.9) for temperature in (0, 1, 0.5, 2)]
    rows = [Resident(0, Request((1,), 4, sampling=rule, sample=str(rule))) for rule in rules]
    logits = torch.randn(4, 3, 64, generator=torch.Generator().manual_seed(0))
    draw = Drawing.of(rows, torch.device("cpu")).draw
    expected = draw(logits, [0, 1, 2, 3])
    monkeypatch.setattr(drawing, "_AT_ONCE", {"cpu": most})
    assert draw(logits, [0, 1, 2, 3]) == expected


def test_the_largest_tensor_of_drawing_does_not_grow_with_the_rows(monkeypatch):
    """80 rows with drafts over a vocabulary of 49 152 once took 3 GB beside their logits."""
    seen = []

    def measured(logits, *rest, **options):
        seen.append(logits.numel())
        return choose(logits, *rest, **options)

    choose = drawing.choose
    monkeypatch.setattr(drawing, "choose", measured)
    monkeypatch.setattr(drawing, "_AT_ONCE", {"cpu": 1000})
    rows = [Resident(0, Request((1,), 4, sample=str(index))) for index in range(80)]
    Drawing.of(rows, torch.device("cpu")).draw(torch.zeros(80, 5, 100), [0] * 80)
    assert max(seen) <= 1000
    assert sum(seen) == 80 * 5 * 100
