from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import BaseModel

from harness.errors import FieldError
from harness.interventions.array import Array

FINITE = st.floats(-(2.0**99), 2.0**99, width=32)


class Holder(BaseModel):
    vector: Array


@given(arrays(np.float32, array_shapes(max_dims=2, max_side=5), elements=FINITE))
def test_json_gives_back_the_same_bits(values):
    holder = Holder(vector=values)
    again = Holder.model_validate(json.loads(holder.model_dump_json()))
    assert again.vector == holder.vector
    assert again.vector.numpy().tobytes() == values.tobytes()
    assert again.vector.shape == values.shape


def test_content_decides_equality_and_hash():
    one, same = Array([1.0, 2.0]), Array(torch.tensor([1.0, 2.0], dtype=torch.bfloat16))
    assert one == same
    assert hash(one) == hash(same)
    assert one != Array([[1.0, 2.0]])
    assert one != Array([1.0, 2.0000002])
    assert one != [1.0, 2.0]


def test_the_numbers_cannot_be_changed_from_outside():
    source = np.ones(3, dtype=np.float32)
    array = Array(source)
    source[0] = 5
    array.tensor()[1] = 7
    assert array.numpy().tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        array.numpy()[0] = 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_with_its_place(bad):
    with pytest.raises(FieldError, match=rf"entry \[1, 2\] is {bad}; every number must be finite"):
        Array(np.array([[0, 0, 0], [0, 0, bad]]))


def test_the_norm_is_the_euclidean_one():
    assert Array([3.0, 4.0]).norm == 5.0


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_float32_are_an_error_and_no_warning():
    with pytest.raises(FieldError, match=r"entry \[1\] is -inf; .* what float32 holds"):
        Array([1.0, -1e39])
