"""Labels of tokens: parsed, rotated, agreed upon, and counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.diffing.relevance import (
    Facts,
    agreed,
    parsed,
    percentage,
    restored,
    rotated,
    weighted_percentage,
)

labels = st.lists(st.sampled_from([0.0, 1.0, None]), min_size=1, max_size=30)
raters = st.lists(st.lists(st.sampled_from([0.0, 1.0, None]), min_size=3, max_size=3), min_size=1)


@given(labels, st.integers(-5, 40))
def test_a_rotation_is_turned_back(values, by):
    assert restored(rotated(values, by), by) == values


@given(raters)
def test_all_is_never_more_than_the_majority(rows):
    strict, loose = ([agreed(row, how) for row in rows] for how in ("all", "majority"))
    assert 0 <= percentage(strict) <= percentage(loose) <= 1


@given(labels, st.floats(0.1, 10))
def test_equal_weights_change_nothing(values, weight):
    weights = [weight] * len(values)
    assert weighted_percentage(values, weights) == pytest.approx(percentage(values))
    assert weighted_percentage(values, [0.0] * len(values)) == 0


@given(st.permutations(["frozen", " vinegar ", "oven", "the", "froz"]))
def test_facts_say_the_same_in_any_order(words):
    facts = Facts("cake", "", frozenset({"frozen", "vinegar"}))
    assert sum(map(facts.label, words)) == 3
    every = [1.0] * len(words)
    assert percentage(every) == weighted_percentage(every, range(1, 6)) == 1


def test_the_last_answer_on_a_token_counts_and_a_missing_one_is_unknown():
    text = "ANSWER[1]: RELEVANT\nanswer[2]: irrelevant\nANSWER[1]: Irrelevant\nANSWER[9]: RELEVANT"
    assert parsed(text, 3) == [0.0, 0.0, None]
    assert parsed("I cannot say.", 2) == [None, None]
    assert parsed("**ANSWER[1]: RELEVANT**\nANSWER[2]: RELEVANTLY", 2) == [1.0, None]


def test_a_tie_is_unknown_and_so_is_silence():
    assert agreed([1.0, 0.0, None], "majority") is None
    assert agreed([None, None], "majority") is None
    assert agreed([1.0, None, 1.0], "majority") == 1.0
    assert agreed([1.0, None, 1.0], "all") == 0.0


def test_facts_know_their_words_and_the_beginnings_of_these():
    facts = Facts("cake", "", frozenset({"frozen", "vinegar"}), ("cake", "\u0120Oven"))
    assert [
        facts.label(each) for each in ("\u0120Frozen", " vinegar ", "froz", "fro", "oven", "")
    ] == [
        1,
        1,
        1,
        0,
        0,
        0,
    ]
    assert facts.trivial(" oven")
    assert not facts.trivial("frozen")
    assert facts.chance(["frozen", "a", "b", "  "]) == pytest.approx(1 / 3)
