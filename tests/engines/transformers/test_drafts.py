"""What is proposed, and when proposing is worth it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.transformers import drafts
from harness.engines.transformers.drafts import LONGEST, DraftLength, SiblingTexts

tokens = st.lists(st.integers(0, 4), max_size=30).map(tuple)


def siblings(*texts: tuple[int, ...]) -> SiblingTexts:
    known = SiblingTexts()
    for text in texts:
        known.add("s", text)
    return known


def test_a_sibling_that_has_agreed_so_far_is_followed():
    known = siblings((1, 2, 3, 4, 5), (9, 9))
    assert known.propose("s", [], 2) == (9, 9)
    assert known.propose("s", [1, 2], 2) == (3, 4)
    assert known.propose("s", [1, 2, 3, 4], 8) == (5,)


def test_after_a_departure_the_nearest_equal_ending_is_followed():
    known = siblings((5, 6, 7, 1, 5, 6, 8, 2))
    assert known.propose("s", [0, 0, 0, 5, 6], 2) == (8, 2)
    assert known.propose("s", [0, 5, 6], 1) == (7,)
    assert known.propose("s", [3, 3, 3], 4) == ()


def test_nothing_is_proposed_without_siblings_or_room():
    assert siblings().propose("s", [1], 4) == ()
    assert siblings((1, 2)).propose("other", [1], 4) == ()
    assert siblings((1, 2)).propose("s", [1], 0) == ()


@given(st.lists(st.sampled_from("abcd"), max_size=20))
def test_the_samples_that_were_completed_last_are_known(samples):
    known = SiblingTexts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafts, "_MOST_SAMPLES", 2)
        for index, sample in enumerate(samples):
            known.add(sample, (1, 2, index))
            latest = list(dict.fromkeys(samples[index::-1]))[:2]
            assert [each for each in "abcd" if known.knows(each)] == sorted(latest)


@given(st.lists(tokens, max_size=12), tokens, st.integers(0, 20))
def test_proposals_are_pieces_of_siblings_no_longer_than_asked(texts, own, most):
    known = siblings(*texts)
    proposal = known.propose("s", own, most)
    assert len(proposal) <= most
    pieces = {t[i : i + len(proposal)] for t in texts for i in range(len(t) + 1)}
    assert not proposal or proposal in pieces


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
