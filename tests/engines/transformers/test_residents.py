"""Who lives where, under any order of openings and endings, on a cache that holds the tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers.prefixes import BLOCK
from harness.engines.transformers.residents import Resident, Residents
from harness.engines.transformers.row_interventions import InterventionSet
from harness.engines.transformers.slots import SlotCache, Window
from harness.interventions.router_mask.description import RouterMask

COLUMNS = 64
MASKS = [None, RouterMask(points=((0, 1),)), RouterMask(points=((0, 1), (1, 2)))]
PROPERTY = settings(max_examples=60, deadline=None)


def residents(loaded, slots: int) -> tuple[Residents, SlotCache]:
    cache = SlotCache(1, slots, COLUMNS)
    return Residents(cache, InterventionSet(loaded.model, slots, cache.capacity)), cache


def compute(cache: SlotCache, sequence: Resident) -> None:
    """What a prefill does: fill the missing columns; a column's key is its token and its mask."""
    tokens = sequence.all_tokens
    columns = torch.arange(sequence.length, len(tokens))[None]
    mark = 100.0 * MASKS.index(sequence.intervention)
    keys = torch.tensor(tokens[sequence.length :]).float().add(mark)[None, None, :, None]
    cache.look_at(Window(slice(sequence.slot, sequence.slot + 1), columns, COLUMNS))
    cache.update(keys, keys, 0)
    sequence.length = len(tokens)


def check(cache: SlotCache, sequence: Resident) -> None:
    mark = 100.0 * MASKS.index(sequence.intervention)
    keys = cache.layers[0].keys[sequence.slot, 0, : sequence.length, 0] - mark
    assert keys.tolist() == sequence.cached


texts = st.builds(
    lambda stem, tail: tuple([1 + i % 47 for i in range(stem)] + tail),
    st.integers(0, 2 * BLOCK + 3),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("open"), texts, st.integers(0, len(MASKS) - 1)),
        st.tuples(st.just("close"), st.integers(0, 9), st.booleans()),
    ),
    min_size=1,
    max_size=30,
)


@PROPERTY
@given(moves, st.integers(1, 4), st.integers(0, 2))
def test_running_ones_are_in_front_and_all_hold_their_own_columns(moe, steps, slots, spare):
    """Copied columns carry the mark of the mask they were computed under: a wrong one shows."""
    house, cache = residents(moe, slots + spare)
    for name, *arguments in steps:
        if name == "open" and len(house.running) < slots:
            prompt, mask = arguments
            sequence = Resident(0, Request(prompt, 1, MASKS[mask]))
            house.open(sequence)
            assert sequence.length < len(prompt)
            compute(cache, sequence)
            house.announce(sequence)
        elif name == "close" and house.running:
            which, keep = arguments
            house.close(house.running[which % len(house.running)], keep=keep)
        for slot, sequence in enumerate(house.running):
            assert sequence.slot == slot
            check(cache, sequence)
        for slot, sequence in house._ended.items():
            assert sequence.slot == slot >= len(house.running)
            check(cache, sequence)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("changed", MASKS)
def test_an_ended_sequence_is_shared_under_an_equal_mask_only(moe, mask, changed):
    house, cache = residents(moe, 2)
    prompt = tuple(range(1, 2 * BLOCK + 2))
    first = Resident(0, Request(prompt, 1, mask))
    house.open(first)
    compute(cache, first)
    house.close(first, keep=True)
    second = Resident(1, Request((*prompt, 5), 1, changed))
    house.open(second)
    assert second.length == (len(prompt) if changed == mask else 0)
    assert house.reused_columns == second.length


def test_a_sequence_that_is_not_kept_is_never_a_source(moe):
    house, cache = residents(moe, 2)
    prompt = tuple(range(1, 2 * BLOCK + 2))
    first = Resident(0, Request(prompt, 1))
    house.open(first)
    compute(cache, first)
    house.announce(first)
    assert house.source(Resident(1, Request(prompt, 1))) == len(prompt) - 1
    house.close(first, keep=False)
    assert house.source(Resident(1, Request(prompt, 1))) == 0
    assert house.running == []


@pytest.mark.parametrize("left", [0, 1, 5])
def test_a_sequence_that_is_continued_keeps_the_others_where_all_slots_are_taken(moe, left):
    """Rounds continue every sequence in turn, or all but its last tokens; no slot is free."""
    count = 3
    house, cache = residents(moe, count)
    texts = [(index + 1, *range(1, 2 * BLOCK)) for index in range(count)]
    for text in texts:
        house.open(sequence := Resident(0, Request(text, 1)))
        compute(cache, sequence)
    for sequence in reversed(list(house.running)):
        house.close(sequence, keep=True)
    # In another order than their slots', so that each has to change places.
    for text in reversed(texts):
        kept = text[: len(text) - left]
        house.open(sequence := Resident(0, Request((*kept, 46, 7), 1)))
        assert sequence.length == len(kept)
        check(cache, sequence)
        compute(cache, sequence)
    assert house.reused_columns == sum(len(text) - left for text in texts)
    for sequence in house.running:
        check(cache, sequence)
