"""Sorted values and their order equal torch's own, ties and infinities included."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.sampling.sorting import descending, order

ROWS = arrays.arrays(
    "float32", (3, 7), elements=st.floats(0, width=32) | st.sampled_from([0.0, 1.0])
)


@given(ROWS)
def test_they_equal_a_stable_sort(values):
    rows = torch.from_numpy(values)
    assert torch.equal(descending(rows), rows.sort(dim=-1, descending=True).values)
    assert torch.equal(descending(-rows), (-rows).sort(dim=-1, descending=True).values)
    assert torch.equal(order(rows), rows.sort(dim=-1, stable=True).indices)
