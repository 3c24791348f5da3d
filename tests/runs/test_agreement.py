from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.runs.agreement import with_one_baseline
from harness.store.results import agreed
from tests.runs.small import cases, result_of

texts = st.lists(st.integers(0, 2), max_size=6)


@given(texts, texts)
def test_texts_agree_up_to_their_first_departure(own, other):
    length = agreed(own, other)
    assert own[:length] == other[:length]
    assert length in {len(own), len(other)} or own[length] != other[length]


@given(st.lists(st.lists(st.integers(0, 2), max_size=4).map(tuple), min_size=3, max_size=3))
def test_every_case_is_compared_with_the_baseline_that_is_there(tokens):
    (case,) = cases()
    baseline = result_of(case.case.baseline, [(0, 1, 2), (1,), ()])
    other = result_of(case.case, tokens)
    seen_another = replace(other, draws=tuple(replace(each, agreement=99) for each in other.draws))
    first, second = with_one_baseline([baseline, seen_another])
    assert first == baseline
    assert [draw.agreement for draw in second.draws] == [
        agreed(own, base.completion.tokens)
        for own, base in zip(tokens, baseline.draws, strict=True)
    ]


def test_without_a_complete_baseline_nothing_is_changed():
    (case,) = cases()
    result = result_of(case.case, [(1, 2)])
    failed = result_of(case.case.baseline, [(1, 2)], status="failed")
    assert with_one_baseline([result]) == [result]
    assert with_one_baseline([failed, result]) == [failed, result]
