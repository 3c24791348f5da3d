"""A steered place: additions by row, conditions on the sum, and the same whether it may branch."""

from __future__ import annotations

import pytest
import torch

from harness.engines.vllm.worker.places import SteeredPlace
from harness.engines.vllm.worker.row_tables import Tables

N, H = 6, 4


def place_with(doses, *, static, site="block", condition=None):
    tables = Tables(tokens=8, rows=4, device=torch.device("cpu"), static=static)
    tables.widen(1)
    tables.doses[0, :N] = torch.tensor(doses)
    tables.vector_rows[0, :N] = torch.tensor([0, 1, 2, 1, 2, 0])
    tables.dosed = frozenset({0} if any(doses) else ())
    place = SteeredPlace(tables, site, H)
    place.columns.append(0)
    place.vectors[1:3] = torch.randn(2, H, generator=torch.Generator().manual_seed(0))
    if condition is not None:
        place.allow_conditions()
        place.directions[1] = condition
        place.gates[1] = torch.tensor([0.0, 0.0, 1.0])
        tables.gate_rows[0, :N] = torch.tensor([0, 1, 1, 1, 1, 0])
    return tables, place


@pytest.mark.parametrize("static", [False, True])
def test_every_token_gets_its_own_vector_and_the_rest_keep_every_bit(static):
    tables, place = place_with([0.0, 2.0, -1.0, 0.0, 0.5, 0.0], static=static)
    hidden, residual = torch.randn(2, N, H).unbind(0)
    hidden[0, 0] = -0.0
    steered, beside = place((hidden, residual))
    expected = hidden + tables.doses[0, :N, None] * place.vectors[tables.vector_rows[0, :N]]
    assert torch.allclose(steered, expected)
    assert beside is residual
    untouched = [0, 3, 5]
    assert torch.equal(steered[untouched], hidden[untouched])
    assert torch.signbit(steered[0, 0])


@pytest.mark.parametrize("static", [False, True])
def test_conditions_look_at_the_residual_stream_and_what_fires_is_counted(static):
    direction = torch.tensor([1.0, 0.0, 0.0, 0.0])
    tables, place = place_with([1.0] * N, static=static, condition=direction)
    hidden, residual = torch.zeros(N, H), torch.zeros(N, H)
    hidden[:, 0] = -1.0
    residual[:, 0] = torch.tensor([0.0, 2.0, 0.0, 3.0, 0.0, 0.0])  # the sums of 1 and 3 point along
    steered, _ = place((hidden, residual))
    changed = (steered != hidden).any(dim=1).tolist()
    # Rows 0 and 5 have no condition and vector 0, which is nothing.
    assert changed == [False, True, False, True, False, False]
    assert tables.counts[2, :N].tolist() == [0, 1, 0, 1, 0, 0]


def test_an_output_without_a_residual_is_steered_as_it_is():
    _, place = place_with([1.0] * N, static=False, site="mlp")
    hidden = torch.randn(N, H)
    assert torch.is_tensor(place(hidden))
    assert not torch.equal(place(hidden), hidden)


@pytest.mark.parametrize("static", [False, True])
def test_what_is_read_is_the_residual_stream_after_steering(static):
    tables, place = place_with([1.0] * N, static=static)
    place.allow_reading(torch.float32)
    tables.reading = True
    hidden, residual = torch.randn(2, N, H).unbind(0)
    steered, _ = place((hidden, residual))
    assert torch.equal(place.seen(slice(1, 4)), (steered + residual)[1:4])


def test_a_pass_without_doses_is_left_alone():
    _, place = place_with([0.0] * N, static=False)
    output = torch.randn(N, H), torch.randn(N, H)
    assert place(output) is output
