"""A cache is as large as its requests need, and no larger than what pays off and what is free."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers import cache_sizes
from harness.engines.transformers.cache_sizes import CacheSize, CacheSizes
from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import load
from tests.engines.transformers.small_requests import run


@pytest.fixture(scope="module")
def loaded():
    return load("zoo/moe", device="cpu")


@pytest.fixture
def bytes_that_pay(monkeypatch, loaded):
    """Let a cache of so many slots of 64 columns pay off, and no larger one."""

    def of(slots: int) -> None:
        each = CacheSizes(loaded, None, None).of(CacheSize(1, 0, 64))
        monkeypatch.setattr(cache_sizes, "_PAYING_BYTES", slots * each)
        monkeypatch.setattr(type(loaded.model), "get_memory_footprint", lambda _: 0)
        monkeypatch.setattr(cache_sizes, "_FEWEST_SLOTS", 2)

    return of


@settings(deadline=None)
@given(
    slots=st.integers(1, 300),
    spare=st.integers(0, 300),
    columns=st.integers(1, 2000),
    free=st.integers(1, 2**34),
)
def test_what_fits_is_never_more_than_asked_and_fits_again(loaded, slots, spare, columns, free):
    sizes = CacheSizes(loaded, None, None)
    sizes.limit = free
    asked = CacheSize(slots, spare, columns)
    fitted = sizes.fitted(asked)
    assert all(one <= other for one, other in zip(fitted, asked, strict=True))
    assert fitted.slots >= 1
    assert sizes.of(fitted) <= max(free, sizes.of(CacheSize(1, 0, columns)))
    assert sizes.fitted(fitted) == fitted


def test_what_does_not_pay_is_not_taken_however_much_is_free(loaded, bytes_that_pay):
    bytes_that_pay(12)
    sizes = CacheSizes(loaded, None, None)
    sizes.limit = 2**40
    requests = [Request((1, at), 62) for at in range(40)]
    assert sizes.wanted(requests) == (12, 0, 64)
    assert sizes.fitted(CacheSize(40, 40, 64)) == (8, 4, 64)
    assert sizes.wanted([Request((1, at), 126) for at in range(40)]) == (6, 0, 128)
    assert sizes.wanted([Request((1, at), 1000) for at in range(40)]).slots == 2
    assert CacheSizes(loaded, 30, None).wanted(requests).slots == 30


def test_streams_of_unlike_requests_keep_one_cache_only_where_that_pays(loaded, bytes_that_pay):
    bytes_that_pay(12)
    engine = TransformersEngine(loaded, drafts=False)
    short = [Request((1, at), 6) for at in range(12)]
    long = [Request((1, at) * 50, 20) for at in range(3)]
    for requests, size in (
        (short, (12, 0, 64)),
        (long, (3, 0, 128)),
        (short[:6], (6, 0, 128)),
        (long, (6, 0, 128)),
        (short, (12, 0, 64)),
    ):
        run(engine, requests)
        assert engine._stage.size == size


def test_a_cache_that_was_outgrown_is_free_at_once(loaded):
    """Without the garbage collector, which would keep gigabytes until it runs."""
    engine = TransformersEngine(loaded)
    gc.disable()
    try:
        run(engine, [Request((1, 2, 3), 4)])
        keys = weakref.ref(engine._stage.cache.layers[0].keys)
        run(engine, [Request((1, 2, 3) * 40, 4)])
        assert keys() is None
    finally:
        gc.enable()
