"""Sorted values and their order equal torch's own, ties and infinities included."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.sampling.scans import at_least, below, best, descending, largest, only, order, there

ROWS = arrays.arrays(
    "float32", (3, 7), elements=st.floats(0, width=32) | st.sampled_from([0.0, 1.0])
)


@given(ROWS)
def test_they_equal_a_stable_sort(values):
    rows = torch.from_numpy(values)
    assert torch.equal(descending(rows), rows.sort(dim=-1, descending=True).values)
    assert torch.equal(descending(-rows), (-rows).sort(dim=-1, descending=True).values)
    assert torch.equal(order(rows), rows.sort(dim=-1, stable=True).indices)


@given(ROWS, ROWS)
def test_what_is_not_kept_is_another_number_and_the_rest_keeps_its_bits(values, others):
    rows, kept = torch.from_numpy(values), torch.from_numpy(others) > 0.5
    for each in (rows, -rows, torch.where(kept, -torch.inf, rows)):
        for number in (-torch.inf, 0.0):
            expected = torch.where(kept, each, number)
            assert torch.equal(
                only(kept, each, number).view(torch.int32), expected.view(torch.int32)
            )
        assert torch.equal(there(each), each > -torch.inf)
        assert torch.equal(best(each), each.argmax(dim=-1))
        assert torch.equal(at_least(each, rows[:, 0]), each >= rows[:, :1])


@given(ROWS, st.floats(0, 2, width=32))
def test_as_many_are_below_a_limit_as_compare_so(values, limit):
    rows = torch.from_numpy(values).sort(dim=-1).values
    limits = torch.tensor([limit, 1.0, rows[2, 3].item()])
    assert torch.equal(below(rows, limits), (rows < limits[:, None]).sum(dim=-1))
    at = below(rows, limits, included=True)
    assert torch.equal(at, (rows <= limits[:, None]).sum(dim=-1))


def test_the_largest_stand_as_in_a_whole_row_whose_others_are_out():
    rows = torch.randn(50, 5003, generator=torch.Generator().manual_seed(0)).mul(20).round() / 8
    for number in (1, 41, 64, 500):
        found, whole = largest(rows, number), descending(rows)
        whole[:, number:] = -torch.inf
        assert torch.equal(found, whole[:, : found.shape[-1]])
        for last in (False, True):
            short, long = (each.flip(-1) if last else each for each in (found, whole))
            own, all_ = short.softmax(dim=-1), long.softmax(dim=-1)
            size = found.shape[-1]
            assert torch.equal(own, all_[:, -size:] if last else all_[:, :size])
