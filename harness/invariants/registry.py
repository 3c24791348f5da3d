"""The one place where identities are registered: families of interventions and what they owe.

A new kind of intervention adds one `Family` here: the class, which models it applies to, its doses
for a model, and the identities that hold for it beyond those of every intervention. A test refuses
a kind that an engine applies and that is not registered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import ModelError
from harness.interventions.base import Intervention
from harness.interventions.dac import DAC
from harness.interventions.router_mask import RouterMask
from harness.interventions.steering import Steering
from harness.invariants import (
    dac,
    decoding,
    neutrality,
    router_mask_effects,
    router_masks,
    sampling,
    steering,
)
from harness.invariants.bench import Bench
from harness.invariants.finding import Finding
from harness.models.routers import router_shape

Identity = Callable[[Bench], Finding]
"""What must hold: its name is the function's, its source is in the docstring."""


@dataclass(frozen=True)
class Family:
    """What belongs to one kind of intervention, or to no intervention at all.

    `excuse` says, from a model's configuration, why the family does not apply to it, or None.
    """

    name: str
    kind: type[Intervention] | None
    excuse: Callable[[Any], str | None]
    doses: Callable[[Any], tuple[Intervention, ...]]
    identities: tuple[Identity, ...]


EVERY_RUN: tuple[Identity, ...] = (
    decoding.batch_equals_alone,
    decoding.order_is_irrelevant,
    decoding.removal_restores_every_bit,
    decoding.repeated_run_is_identical,  # compares what the one before it has run anyway
    decoding.reused_equals_recomputed,
    decoding.cached_equals_uncached,
)

EVERY_INTERVENTION: tuple[Identity, ...] = (
    neutrality.neutral_of_every_dose,
    neutrality.neutral_alone_equals_baseline,
    neutrality.neutral_in_mixed_batch_equals_baseline,
    neutrality.dose_does_something,
    *EVERY_RUN,
)


#: Those that watch a model's modules while the engine runs it: it must run in this process's own.
WATCHING: frozenset[Identity] = frozenset(
    {
        decoding.removal_restores_every_bit,
        router_masks.unhit_token_keeps_every_bit,
        router_masks.masked_expert_gets_no_weight,
        router_masks.keep_restricts_and_rescales,
        router_masks.replace_fills_up,
        router_masks.replace_selects_what_remains,
        router_masks.keep_chooses_among_what_replace_chooses,
        router_masks.wholly_masked_falls_back,
        router_masks.weights_keep_the_mass,
        router_mask_effects.replace_twice_is_replace_by_the_union,
    }
)


def _without_routers(config: Any) -> str | None:
    try:
        shape = router_shape(config)
    except ModelError as error:
        return str(error)
    if shape.top_k == shape.experts:
        return f"its routers select all of their {shape.experts} experts: nothing could fill in"
    return None


FAMILIES: tuple[Family, ...] = (
    Family(
        "engine",
        kind=None,
        excuse=lambda _config: None,
        doses=lambda _config: (),
        identities=EVERY_RUN,
    ),
    Family(
        "sampling",
        kind=None,
        excuse=lambda _config: None,
        doses=lambda _config: (),
        identities=(
            sampling.neutral_rules_change_nothing,
            sampling.one_candidate_is_greedy,
            sampling.greedy_ignores_randomness,
            sampling.draws_stay_among_the_candidates,
            sampling.a_cut_request_goes_on,
            sampling.seeds_are_different_draws,
        ),
    ),
    Family(
        "router_mask",
        kind=RouterMask,
        excuse=_without_routers,
        doses=lambda config: router_masks.doses(router_shape(config)),
        identities=(
            *EVERY_INTERVENTION,
            router_masks.unhit_token_keeps_every_bit,
            router_masks.masked_expert_gets_no_weight,
            router_masks.keep_restricts_and_rescales,
            router_masks.replace_fills_up,
            router_masks.replace_selects_what_remains,
            router_masks.keep_chooses_among_what_replace_chooses,
            router_masks.wholly_masked_falls_back,
            router_masks.weights_keep_the_mass,
            router_mask_effects.all_masked_with_fallback_is_baseline,
            router_mask_effects.earlier_layers_unchanged,
            router_mask_effects.earlier_positions_unchanged,
            router_mask_effects.replace_twice_is_replace_by_the_union,
            router_mask_effects.points_are_a_set,
            router_mask_effects.unselected_experts_are_free,
            router_mask_effects.doses_are_nested,
            router_mask_effects.counts_are_what_happened,
        ),
    ),
    Family(
        "steering",
        kind=Steering,
        excuse=lambda _config: None,
        doses=steering.doses,
        identities=(
            *EVERY_INTERVENTION,
            steering.effect_is_alpha_times_the_vector,
            steering.earlier_layers_and_positions_unchanged,
            steering.doses_add_up,
        ),
    ),
    Family(
        "dac",
        kind=DAC,
        excuse=lambda _config: None,
        doses=dac.doses,
        identities=(
            neutrality.neutral_of_every_dose,
            neutrality.neutral_alone_equals_baseline,
            neutrality.neutral_in_mixed_batch_equals_baseline,
            decoding.batch_equals_alone,
            decoding.order_is_irrelevant,
            decoding.reused_equals_recomputed,
            decoding.removal_restores_every_bit,
            dac.doses_are_between_nothing_and_the_strongest,
            dac.every_dose_is_applied,
            dac.chosen_doses_given_to_steering_are_the_same,
            dac.a_difference_of_nothing_has_no_dose,
            dac.properties_have_no_order,
        ),
    ),
)
