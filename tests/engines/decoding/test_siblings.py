"""What is proposed of what siblings said."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from harness.engines.decoding.siblings import SiblingTexts

tokens = st.lists(st.integers(0, 4), max_size=30).map(tuple)


def siblings(*texts: tuple[int, ...]) -> SiblingTexts:
    known = SiblingTexts(Counter(s=len(texts) + 1))
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


@given(st.lists(st.sampled_from("abc"), max_size=20))
def test_a_sample_is_forgotten_with_its_last_request(samples):
    known = SiblingTexts(Counter(samples))
    for index, sample in enumerate(samples):
        known.add(sample, (1, 2, index))
        left = samples[index + 1 :]
        assert known.knows(sample) == (sample in left)
        assert set(known._texts) <= set(left)
    assert not known.to_end


@given(st.lists(tokens, max_size=12), tokens, st.integers(0, 20))
def test_proposals_are_pieces_of_siblings_no_longer_than_asked(texts, own, most):
    known = siblings(*texts)
    proposal = known.propose("s", own, most)
    assert len(proposal) <= most
    pieces = {t[i : i + len(proposal)] for t in texts for i in range(len(t) + 1)}
    assert not proposal or proposal in pieces


def test_what_goes_on_stands_in_the_place_of_its_beginning():
    known = siblings((1, 2, 3))
    known.hear("s", (1, 2))
    known.hear("s", (1, 2, 4, 5))
    assert known.propose("s", [1, 2], 2) == (4, 5)
    assert known._texts["s"] == [(1, 2, 3), (1, 2, 4, 5)]
    assert known.knows("s")
