"""Kinds of intervention: refused when unknown, on the model only inside, told when a pass ends."""

from __future__ import annotations

import pytest
import torch

from harness.engines.transformers.row_interventions import InterventionSet
from harness.errors import RequestError
from harness.interventions.base import Intervention
from harness.interventions.router_mask.description import RouterMask

MASK = RouterMask(points=tuple((0, expert) for expert in range(6)))
TOKENS = torch.tensor([[3, 4, 5]])
POSITIONS = torch.arange(3)[None]


class Unknown(Intervention):
    """No engine knows this kind."""

    kind: str = "unknown"

    def neutral(self):
        return self


def logits(moe):
    with torch.inference_mode():
        return moe.model(TOKENS).logits


def test_an_unknown_kind_is_refused_by_name(moe):
    with pytest.raises(RequestError, match="Unknown is not applied here: it acts by None"):
        InterventionSet(moe.model, 1, 8).check(Unknown())


def test_a_kind_that_is_new_while_hooks_are_on_is_hooked_at_once(moe):
    plain = logits(moe)
    rows = InterventionSet(moe.model, 1, 8)
    with rows.attached():
        rows.check(MASK)
        rows.assign(0, MASK, prompt=0)
        with rows.applied(slice(0, 1), POSITIONS):
            assert not torch.equal(logits(moe), plain)
    assert torch.equal(logits(moe), plain)


def test_a_pass_that_fails_leaves_no_row_masked(moe):
    plain = logits(moe)
    rows = InterventionSet(moe.model, 1, 8)
    rows.check(MASK)
    rows.assign(0, MASK, prompt=0)
    with rows.attached():
        with pytest.raises(RuntimeError, match="planted"), rows.applied(slice(0, 1), POSITIONS):
            raise RuntimeError("planted")
        # Outside of a pass the hooks are there, and do nothing.
        assert torch.equal(logits(moe), plain)


def test_a_slot_without_an_intervention_is_counted_nowhere(moe):
    rows = InterventionSet(moe.model, 2, 8)
    rows.check(MASK)
    rows.assign(0, MASK, prompt=0)
    rows.assign(1, None, prompt=0)
    with rows.attached(), rows.applied(slice(0, 2), POSITIONS.expand(2, 3)), torch.inference_mode():
        moe.model(TOKENS.expand(2, 3))
    assert rows.counts(0, 3)["routed"] == 6
    assert rows.counts(0, 3)["changed"] > 0
    assert rows.counts(1, 3) == {}
    rows.move(0, 1, 3)
    assert rows.counts(1, 3) == rows.counts(0, 3)
