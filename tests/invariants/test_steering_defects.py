"""Defects of steering as they happen in the wild, planted one by one: each is seen.

Every defect names the identity that must see it, as in `test_defects`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.engines.transformers import place_tables, residual_rows
from harness.engines.transformers.place_tables import PlaceTables
from harness.engines.transformers.residual_rows import ResidualRows
from tests.invariants.planted import Defects, Patch

DEFECTS = Defects()


def dosed(patch: Patch, change: Callable[..., torch.Tensor]) -> None:
    """Let `change(original, doses, positions)` say the dose of every token."""
    original = place_tables.doses_at
    patch.setattr(place_tables, "doses_at", lambda *both: change(original, *both))


@DEFECTS.seen_by("steering.cached_equals_uncached")
def mask_by_token_index_empties_after_the_first_step(patch):
    """A peer's: the index counts from the pass's first token, and cached passes have only one."""

    def change(original, doses, positions):
        within = torch.arange(positions.shape[1]).expand_as(positions)
        return original(doses, torch.where(positions < 0, -1, within))

    dosed(patch, change)


@DEFECTS.seen_by("steering.effect_is_alpha_times_the_vector")
def only_the_last_token_of_a_pass_is_steered(patch):
    def change(original, doses, positions):
        found = original(doses, positions)
        found[:, :-1] = 0
        return found

    dosed(patch, change)


@DEFECTS.seen_by("steering.effect_is_alpha_times_the_vector")
def last_prompt_token_left_out(patch):
    dosed(
        patch,
        lambda original, doses, positions: original(
            doses._replace(first=doses.first + 1), positions
        ),
    )


@DEFECTS.seen_by("steering.doses_add_up")
def dose_without_its_sign(patch):
    dosed(patch, lambda original, doses, positions: original(doses, positions).abs())


@DEFECTS.seen_by("steering.effect_is_alpha_times_the_vector")
def vector_normalised_on_the_way(patch):
    original = place_tables.steer
    patch.setattr(
        place_tables,
        "steer",
        lambda hidden, vectors, doses: original(
            hidden, vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-9), doses
        ),
    )


@DEFECTS.seen_by("steering.effect_is_alpha_times_the_vector")
def added_in_place_to_what_others_read(patch):
    """The sum is written over the module's output, and then added once more."""
    original = place_tables.steer

    def change(hidden, vectors, doses):
        hidden.copy_(original(hidden, vectors, doses))
        return original(hidden, vectors, doses)

    patch.setattr(place_tables, "steer", change)


@DEFECTS.seen_by("steering.earlier_layers_and_positions_unchanged")
def hook_one_layer_early(patch):
    original = residual_rows.site_module
    patch.setattr(
        residual_rows,
        "site_module",
        lambda model, layer, site: original(model, max(0, layer - 1), site),
    )


@DEFECTS.seen_by("steering.neutral_in_mixed_batch_equals_baseline")
def every_row_is_steered_as_its_neighbour(patch):
    original = place_tables.steer
    patch.setattr(
        place_tables,
        "steer",
        lambda hidden, vectors, doses: original(hidden, vectors.roll(1, 0), doses.roll(1, 0)),
    )


@DEFECTS.seen_by("steering.removal_restores_every_bit")
def hook_left_behind(patch):
    patch.setattr(ResidualRows, "detach", lambda self: None)


@DEFECTS.seen_by("steering.dose_does_something")
def hook_returns_nothing(patch):
    patch.setattr(PlaceTables, "hook", lambda self, module, inputs, output: None)


@DEFECTS.seen_by("steering.batch_equals_alone")
def doses_stay_when_rows_are_swapped(patch):
    patch.setattr(PlaceTables, "swap", lambda self, one, other, columns: None)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_seen(name, by_name, checker, monkeypatch):
    DEFECTS.check(name, by_name, checker, monkeypatch)
