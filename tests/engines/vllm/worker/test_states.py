"""Functions of hidden states at a place: on the tokens that have a dose, on their sums, exactly."""

from __future__ import annotations

import numpy as np
import torch

from harness.engines.vllm.worker.places import SteeredPlace
from harness.engines.vllm.worker.row_tables import Tables
from tests.kinds.ablate import Ablate
from tests.kinds.clamp import Clamp

N, H = 6, 4


def place_with(site="block"):
    tables = Tables(tokens=8, rows=5, device=torch.device("cpu"), static=False)
    return tables, SteeredPlace(tables, site, H)


def test_a_token_has_what_its_own_kind_makes_of_the_residual_stream():
    tables, place = place_with()
    direction, share = torch.tensor([0.0, 1.0, 0.0, 0.0]), torch.tensor(1.0)
    place.changes.write(2, Ablate, {"direction": direction, "share": share})
    place.changes.write(3, Clamp, {"limit": torch.tensor([0.1])})
    tables.change(np.array([0, 2, 5]), np.array([2, 3, 2]))
    hidden, residual = torch.randn(2, N, H).unbind(0)
    before = hidden.clone(), residual.clone()
    changed, beside = place((hidden, residual))
    expected = hidden + residual
    expected[[0, 5], 1] = 0
    expected[2].clamp_(-0.1, 0.1)
    assert torch.equal(changed + beside, expected)
    assert torch.equal(changed[[1, 3, 4]], hidden[[1, 3, 4]])
    assert torch.equal(hidden, before[0])
    assert torch.equal(residual, before[1])


def test_an_output_without_a_residual_is_changed_and_read_as_it_is():
    tables, place = place_with("mlp")
    place.changes.write(1, Clamp, {"limit": torch.tensor([0.1])})
    place.allow_reading(torch.float32)
    tables.reading = True
    tables.change(np.array([1]), np.array([1]))
    changed = place(torch.ones(N, H))
    assert (changed[:, 0] == torch.tensor([1, 0.1, 1, 1, 1, 1])).all()
    assert torch.equal(place.seen(slice(0, N)), changed)


def test_a_row_that_was_written_anew_does_what_it_says_now():
    tables, place = place_with()
    tables.change(np.array([0]), np.array([1]))
    output = torch.randn(2, N, H).unbind(0)
    assert place(output) is output
    place.changes.write(1, Clamp, {"limit": torch.tensor([0.1])})
    assert place(output) is not output
    for nothing in (None, {"direction": torch.zeros(H), "share": torch.tensor(0.0)}):
        place.changes.write(1, Ablate, nothing)
        assert place(output) is output
