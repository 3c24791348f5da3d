"""When proposing is worth it."""

from __future__ import annotations

import pytest

from harness.engines.transformers.drafts import LONGEST, DraftLength


def trained(start: float, per_token: float, acceptance: float) -> DraftLength:
    """A draft length that saw passes of a device with this cost."""
    length = DraftLength()
    for width in (1, 8, 16, 64, 256) * 4:
        length.observe_pass(width, start + per_token * width)
    for _ in range(400):
        length.observe_draft(10, round(10 * acceptance))
    return length


def test_drafts_are_long_where_a_wider_pass_costs_nothing():
    assert trained(1e-2, 0.0, 1.0).best(16, 16, LONGEST) == LONGEST


def test_drafts_switch_themselves_off_where_every_token_costs():
    """A CPU with many slots: the pass's cost is that of its tokens, and half of them are wrong."""
    assert trained(0.0, 1e-3, 0.5).best(128, 128, LONGEST) == 0


def test_drafts_are_off_where_no_sibling_is_ever_right():
    assert trained(1e-2, 1e-4, 0.0).best(16, 16, LONGEST) == 0


@pytest.mark.parametrize("rows", [1, 16, 128])
def test_lengths_grow_with_acceptance_and_shrink_with_cost(rows):
    by_acceptance = [trained(1e-2, 1e-4, a).best(rows, rows, LONGEST) for a in (0.2, 0.6, 0.9)]
    by_cost = [trained(1e-2, c, 0.9).best(rows, rows, LONGEST) for c in (1e-6, 1e-4, 1e-2)]
    assert by_acceptance == sorted(by_acceptance)
    assert by_cost == sorted(by_cost, reverse=True)


def test_before_two_widths_were_seen_a_short_draft_finds_out():
    length = DraftLength()
    assert length.best(8, 8, LONGEST) == 4
    for _ in range(50):
        length.observe_pass(8, 0.01)
    assert length.best(8, 8, 2) == 2
