"""A family of identities: what belongs to one kind of intervention, or to none at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.interventions.base import Intervention
from harness.invariants import decoding, neutrality
from harness.invariants.bench import Bench
from harness.invariants.finding import Finding

Identity = Callable[[Bench], Finding]
"""What must hold: its name is the function's, its source is in the docstring."""

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

#: Those of policies, which decide while generating: no given text can be read under one.
EVERY_POLICY: tuple[Identity, ...] = (
    neutrality.neutral_of_every_dose,
    neutrality.neutral_alone_equals_baseline,
    neutrality.neutral_in_mixed_batch_equals_baseline,
    decoding.batch_equals_alone,
    decoding.order_is_irrelevant,
    decoding.reused_equals_recomputed,
    decoding.removal_restores_every_bit,
)


def _applies(_config: Any) -> None:
    """No model is excused."""


def _no_doses(_config: Any) -> tuple[Intervention, ...]:
    return ()


@dataclass(frozen=True)
class Family:
    """Doses for a model, and the identities that hold under them. A kind's is called as the kind.

    A kind of intervention inherits `EVERY_INTERVENTION` (a policy `EVERY_POLICY`). `excuse` says,
    from a model's configuration, why the family does not apply to it, or None. Identities that are
    `watching` look at a model's modules while the engine runs it, which must be in this process.
    """

    name: str
    doses: Callable[[Any], tuple[Intervention, ...]] = _no_doses
    own: tuple[Identity, ...] = ()
    inherited: tuple[Identity, ...] = EVERY_INTERVENTION
    excuse: Callable[[Any], str | None] = _applies
    watching: frozenset[Identity] = frozenset()

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Those of every intervention, then its own."""
        return (*self.inherited, *self.own)

    def watches(self, identity: Identity) -> bool:
        """Whether an identity is out of reach where the model runs in another process."""
        return identity in self.watching or identity is decoding.removal_restores_every_bit
