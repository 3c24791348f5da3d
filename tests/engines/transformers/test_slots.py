"""The cache's one invariant: a row's columns below its length are its tokens."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.transformers.slots import SlotCache, Window, rounded_columns

SLOTS, COLUMNS, LAYERS = 4, 64, 2


def write(cache: SlotCache, first: int, rows: list[list[int]], starts: list[int]) -> None:
    """One pass over neighbouring slots whose keys are the tokens and whose values their negatives.

    Rows shorter than the widest one are padded, as in a pass of the model.
    """
    width = max(map(len, rows))
    columns = torch.full((len(rows), width), cache.spare_column)
    keys = torch.full((len(rows), 1, width, 1), -99.0)
    for row, (tokens, start) in enumerate(zip(rows, starts, strict=True)):
        columns[row, : len(tokens)] = torch.arange(start, start + len(tokens))
        keys[row, 0, : len(tokens), 0] = torch.tensor(tokens, dtype=torch.float32)
    cache.look_at(Window(slice(first, first + len(rows)), columns, COLUMNS))
    for layer in range(LAYERS):
        cache.update(keys + 1000 * layer, -keys - 1000 * layer, layer)


def held(cache: SlotCache, slot: int, length: int) -> list[int]:
    """A slot's tokens, the same in keys and values of all layers."""
    for layer, store in enumerate(cache.layers):
        tokens = store.keys[slot, 0, :length, 0] - 1000 * layer
        assert torch.equal(store.values[slot, 0, :length, 0], -store.keys[slot, 0, :length, 0])
        if layer == 0:
            first = tokens
        assert torch.equal(tokens, first)
    return [int(token) for token in first]


tokens = st.lists(st.integers(1, 90), min_size=1, max_size=12)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, SLOTS - 1), st.lists(tokens, min_size=1)),
        st.tuples(st.just("cut"), st.integers(0, SLOTS - 1), st.integers(0, 30)),
        st.tuples(st.just("copy"), st.integers(0, SLOTS - 1), st.integers(0, SLOTS - 1)),
        st.tuples(st.just("swap"), st.integers(0, SLOTS - 1), st.integers(0, SLOTS - 1)),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(operations)
def test_columns_below_a_rows_length_are_its_tokens(steps):
    """Against plain lists, under any order of passes, rejected drafts, copies and exchanges."""
    cache = SlotCache(LAYERS, SLOTS, COLUMNS)
    rows: list[list[int]] = [[] for _ in range(SLOTS)]
    write(cache, 0, [[1]] * SLOTS, [0] * SLOTS)
    for name, slot, argument in steps:
        if name == "write":
            new = argument[: SLOTS - slot]
            fits = [own[: COLUMNS - len(rows[slot + i])] for i, own in enumerate(new)]
            if not all(fits):
                continue
            write(cache, slot, fits, [len(rows[slot + i]) for i in range(len(fits))])
            for offset, own in enumerate(fits):
                rows[slot + offset] = rows[slot + offset] + own
        elif name == "cut":
            rows[slot] = rows[slot][:argument]
        elif name == "copy":
            length = len(rows[slot])
            cache.copy(slot, argument, length)
            rows[argument] = list(rows[slot])
        else:
            cache.swap(slot, argument, max(len(rows[slot]), len(rows[argument])))
            rows[slot], rows[argument] = rows[argument], rows[slot]
        for at, row in enumerate(rows):
            assert held(cache, at, len(row)) == row


def test_a_cleared_row_holds_nothing_that_is_not_finite():
    cache = SlotCache(1, 2, 64)
    cache.look_at(Window(slice(0, 2), torch.zeros(2, 1, dtype=torch.long), None))
    broken = torch.full((2, 1, 1, 3), float("nan"))
    cache.update(broken, broken, 0)
    cache.clear(1)
    layer = cache.layers[0]
    assert not layer.keys[1].isnan().any()
    assert not layer.values[1].isnan().any()
    assert layer.keys[0, :, 0].isnan().all()


@given(st.integers(1, 5000))
def test_capacities_hold_what_was_asked_for_and_little_more(columns):
    assert columns <= rounded_columns(columns) < columns + 64
