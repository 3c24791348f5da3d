"""Waves: every request once, siblings of a prompt one after the other, what was put back first."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers.admission import Admission
from harness.engines.transformers.cache_sizes import CacheSize
from harness.engines.transformers.prefixes import BLOCK
from harness.engines.transformers.residents import Resident
from harness.engines.transformers.stage import Stage

LONG = BLOCK + 3


def stage(loaded, slots: int = 4) -> Stage:
    return Stage(loaded.model, CacheSize(slots, 0, 64))


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=20), free=st.integers(1, 6))
def test_every_request_is_admitted_once_in_waves_that_fit(moe, lengths, free):
    # No two prompts share their first token, so that none has to wait for another.
    queue = [(i, Request((1 + i,) * length, 1)) for i, length in enumerate(lengths)]
    admission = Admission(queue, siblings_apart=False)
    residents = stage(moe).residents
    seen = []
    while len(admission):
        wave = admission.wave(free, residents)
        assert 0 < len(wave) <= free
        read = [len(sequence.all_tokens) for sequence in wave]
        assert read == sorted(read)
        seen += [sequence.position for sequence in wave]
    assert sorted(seen) == list(range(len(queue)))


def test_equal_prompts_wait_for_the_one_that_is_read(moe):
    queue = [(i, Request((5,) * LONG, 1, sample=str(i))) for i in range(3)]
    queue.append((3, Request((6,) * LONG, 1)))
    admission = Admission(queue, siblings_apart=False)
    wave = admission.wave(4, stage(moe).residents)
    assert sorted(sequence.position for sequence in wave) == [0, 3]
    assert len(admission) == 2
    # Nothing is shared where shapes are fixed, so that nothing waits.
    strict = Admission(queue, siblings_apart=False)
    assert len(strict.wave(4, None)) == 4


def test_what_was_put_back_comes_first_in_its_order(moe):
    admission = Admission([(0, Request((1,), 1))], siblings_apart=False)
    back = [Resident(position, Request((2,), 1)) for position in (7, 8)]
    admission.put_back(back)
    assert len(admission) == 3
    taken = [admission.wave(1, None)[0].position for _ in range(3)]
    assert taken == [7, 8, 0]


def test_columns_are_wanted_while_a_request_with_that_prompt_waits():
    once, twice, other = (Request((token,) * LONG, 1) for token in (1, 2, 3))
    queue = list(enumerate([once, twice, twice, other]))
    admission = Admission(queue, siblings_apart=False)
    first, second = admission.wave(2, None)
    assert (first.request, second.request) == (once, twice)
    assert not admission.wants(first)
    assert admission.wants(second)
    admission.wave(2, None)
    # The last sequences of a run stay for the next one.
    assert admission.wants(first)


def test_slots_are_refilled_a_share_at_a_time_and_at_last_one_by_one():
    many = Admission([(i, Request((1,), 1)) for i in range(50)], siblings_apart=False)
    assert not many.is_due(free=3, slots=32)
    assert many.is_due(free=4, slots=32)
    assert not many.is_due(free=0, slots=4)
    few = Admission([(0, Request((1,), 1))], siblings_apart=False)
    assert few.is_due(free=1, slots=32)
    assert not Admission([], siblings_apart=False).is_due(free=32, slots=32)
