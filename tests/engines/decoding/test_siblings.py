"""What is proposed of what siblings said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.decoding import siblings as known_texts
from harness.engines.decoding.siblings import SiblingTexts

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
        patch.setattr(known_texts, "_MOST_SAMPLES", 2)
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


def test_what_goes_on_stands_in_the_place_of_its_beginning():
    known = siblings((1, 2, 3), (1, 2), (1, 2, 4, 5))
    assert known.propose("s", [1, 2], 2) == (4, 5)
    assert known._texts["s"] == [(1, 2, 3), (1, 2, 4, 5)]
