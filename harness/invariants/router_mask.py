"""The family of router masks: which models they apply to, their doses, and what they owe."""

from __future__ import annotations

from typing import Any

from harness.errors import ModelError
from harness.invariants import router_mask_effects, router_masks
from harness.invariants.family import Family
from harness.models.routers import router_shape


def _without_routers(config: Any) -> str | None:
    try:
        shape = router_shape(config)
    except ModelError as error:
        return str(error)
    if shape.top_k == shape.experts:
        return f"its routers select all of their {shape.experts} experts: nothing could fill in"
    return None


_AT_ROUTERS = (
    router_masks.unhit_token_keeps_every_bit,
    router_masks.masked_expert_gets_no_weight,
    router_masks.keep_restricts_and_rescales,
    router_masks.replace_fills_up,
    router_masks.replace_selects_what_remains,
    router_masks.keep_chooses_among_what_replace_chooses,
    router_masks.wholly_masked_falls_back,
    router_masks.weights_keep_the_mass,
)

FAMILY = Family(
    "router_mask",
    doses=lambda config: router_masks.doses(router_shape(config)),
    own=(
        *_AT_ROUTERS,
        router_mask_effects.all_masked_with_fallback_is_baseline,
        router_mask_effects.earlier_layers_unchanged,
        router_mask_effects.earlier_positions_unchanged,
        router_mask_effects.replace_twice_is_replace_by_the_union,
        router_mask_effects.points_are_a_set,
        router_mask_effects.unselected_experts_are_free,
        router_mask_effects.doses_are_nested,
        router_mask_effects.counts_are_what_happened,
    ),
    excuse=_without_routers,
    watching=frozenset({*_AT_ROUTERS, router_mask_effects.replace_twice_is_replace_by_the_union}),
)
