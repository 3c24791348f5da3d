"""Defects of steering as they happen in the wild, planted one by one: each is seen.

Every defect names the identity that must see it, as in `test_defects`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.engines.transformers import places, steering_rows
from harness.engines.transformers.places import PlaceTables
from harness.engines.transformers.steering_rows import SteeringRows

Patch = pytest.MonkeyPatch
DEFECTS: dict[str, tuple[str, Callable[[Patch], None]]] = {}


def defect(caught_by: str) -> Callable[[Callable[[Patch], None]], None]:
    """Register a function that plants a defect."""

    def register(plant: Callable[[Patch], None]) -> None:
        DEFECTS[plant.__name__] = (f"steering.{caught_by}", plant)

    return register


def dosed(patch: Patch, change: Callable[..., torch.Tensor]) -> None:
    """Let `change(original, doses, positions)` say the dose of every token."""
    original = places.doses_at
    patch.setattr(places, "doses_at", lambda *both: change(original, *both))


@defect("cached_equals_uncached")
def mask_by_token_index_empties_after_the_first_step(patch):
    """A peer's: the index counts from the pass's first token, and cached passes have only one."""

    def change(original, doses, positions):
        within = torch.arange(positions.shape[1]).expand_as(positions)
        return original(doses, torch.where(positions < 0, -1, within))

    dosed(patch, change)


@defect("effect_is_alpha_times_the_vector")
def only_the_last_token_of_a_pass_is_steered(patch):
    def change(original, doses, positions):
        found = original(doses, positions)
        found[:, :-1] = 0
        return found

    dosed(patch, change)


@defect("effect_is_alpha_times_the_vector")
def last_prompt_token_left_out(patch):
    dosed(
        patch,
        lambda original, doses, positions: original(
            doses._replace(first=doses.first + 1), positions
        ),
    )


@defect("doses_add_up")
def dose_without_its_sign(patch):
    dosed(patch, lambda original, doses, positions: original(doses, positions).abs())


@defect("effect_is_alpha_times_the_vector")
def vector_normalised_on_the_way(patch):
    original = places.steer
    patch.setattr(
        places,
        "steer",
        lambda hidden, vectors, doses: original(
            hidden, vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-9), doses
        ),
    )


@defect("effect_is_alpha_times_the_vector")
def added_in_place_to_what_others_read(patch):
    """The sum is written over the module's output, and then added once more."""
    original = places.steer

    def change(hidden, vectors, doses):
        hidden.copy_(original(hidden, vectors, doses))
        return original(hidden, vectors, doses)

    patch.setattr(places, "steer", change)


@defect("earlier_layers_and_positions_unchanged")
def hook_one_layer_early(patch):
    original = steering_rows.site_module
    patch.setattr(
        steering_rows,
        "site_module",
        lambda model, layer, site: original(model, max(0, layer - 1), site),
    )


@defect("batch_equals_alone")
def everybody_gets_the_first_rows_dose(patch):
    dosed(
        patch,
        lambda original, doses, positions: original(
            doses._replace(alpha=doses.alpha[:1].expand_as(doses.alpha)), positions
        ),
    )


@defect("removal_restores_every_bit")
def hook_left_behind(patch):
    patch.setattr(SteeringRows, "detach", lambda self: None)


@defect("dose_does_something")
def hook_returns_nothing(patch):
    patch.setattr(PlaceTables, "hook", lambda self, module, inputs, output: None)


@defect("batch_equals_alone")
def doses_stay_when_rows_are_swapped(patch):
    patch.setattr(PlaceTables, "swap", lambda self, one, other, columns: None)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_seen(name, by_name, checker, monkeypatch):
    caught_by, plant = DEFECTS[name]
    plant(monkeypatch)
    found = checker.check(by_name[caught_by])
    assert not found.holds
    assert found.detail
