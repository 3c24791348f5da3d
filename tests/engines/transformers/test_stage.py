"""A stage serves what it has room for, and forgets everything when it shrinks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers.cache_sizes import CacheSize
from harness.engines.transformers.residents import Resident
from harness.engines.transformers.stage import Stage

small = st.integers(0, 3)


@settings(deadline=None)
@given(slots=st.integers(1, 4), spare=small, fewer=small, less=small, shorter=st.integers(0, 60))
def test_a_stage_serves_whatever_is_not_larger_than_itself(moe, slots, spare, fewer, less, shorter):
    stage = Stage(moe.model, CacheSize(slots, spare, 64))
    assert stage.fits(CacheSize(max(slots - fewer, 1), max(spare - less, 0), 64 - shorter))
    assert not stage.fits(CacheSize(slots + 1, 0, 64))
    assert not stage.fits(CacheSize(slots, spare + 1, 64))
    assert not stage.fits(CacheSize(slots, spare, 65))


def test_shrinking_leaves_fewer_slots_and_nobody_in_them(moe):
    stage = Stage(moe.model, CacheSize(4, 2, 64))
    stage.residents.open(Resident(0, Request((1, 2, 3), 1)))
    stage.shrink(2)
    assert (stage.slots, stage.cache.slots, stage.cache.capacity) == (2, 2, 64)
    assert stage.running == []
