"""Every kind of intervention by its name, for reading descriptions back."""

from __future__ import annotations

from typing import Any

from harness.interventions.base import Intervention


def kinds() -> dict[str, type[Intervention]]:
    """The classes by their names; imported now, because whoever only reads masks needs no torch."""
    from harness.interventions.dac import DAC
    from harness.interventions.router_mask import RouterMask
    from harness.interventions.steering import Steering

    return {kind.model_fields["kind"].default: kind for kind in (RouterMask, Steering, DAC)}


def intervention_from(description: dict[str, Any]) -> Intervention:
    """The intervention that `model_dump` described; equal to it, fingerprint included."""
    if description["kind"] == "router_mask":
        from harness.interventions.router_mask import RouterMask

        return RouterMask.model_validate(description)
    return kinds()[description["kind"]].model_validate(description)
