"""Rows that are shared by content: never two contents in one, and never row 0."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.engines.vllm.row_pool import RowPool

ROWS = 7
steps = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 3)), max_size=60)


@given(steps)
def test_rows_in_use_are_apart_and_keep_what_was_written(steps):
    pool, used, content = RowPool(ROWS), {}, {}
    for takes, number, length in steps:
        key = f"{number} of {length}"
        if not takes:
            if used.get(key):
                pool.release(key)
                used[key] -= 1
            continue
        taken = pool.take(key, length)
        if taken is None:
            held = sum(int(k.split()[-1]) for k, users in used.items() if users)
            assert held + length > ROWS - 1 or length > 1  # or what is free lies apart
            continue
        first, fresh = taken
        used[key] = used.get(key, 0) + 1
        rows = range(first, first + length)
        assert rows[0] >= 1
        assert rows[-1] < ROWS
        if fresh:
            content |= dict.fromkeys(rows, key)
        assert [content[row] for row in rows] == [key] * length
        for other, users in used.items():
            if users and other != key:
                assert sum(owner == other for owner in content.values()) >= int(other.split()[-1])


def test_what_nobody_uses_makes_room_in_the_order_of_use():
    pool = RowPool(3)
    for key in ("a", "b"):
        pool.take(key)
        pool.release(key)
    assert pool.take("a") == (1, False)
    assert pool.take("c") == (2, True)
    assert pool.take("d") is None
    pool.release("a")
    assert pool.take("d") == (1, True)


def test_rows_that_were_never_written_are_written_by_the_next():
    pool = RowPool(3)
    pool.take("a")
    pool.release("a")
    pool.forget("a")
    assert pool.take("a") == (1, True)
