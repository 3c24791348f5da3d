"""Every kind of intervention by its name, for reading descriptions back."""

from __future__ import annotations

from typing import Any

from harness.interventions.base import Intervention
from harness.interventions.router_mask import RouterMask
from harness.interventions.steering import Steering

_KINDS: dict[str, type[Intervention]] = {
    kind.model_fields["kind"].default: kind for kind in (RouterMask, Steering)
}


def intervention_from(description: dict[str, Any]) -> Intervention:
    """The intervention that `model_dump` described; equal to it, fingerprint included."""
    return _KINDS[description["kind"]].model_validate(description)
