"""Every family of identities: the engine's, sampling's, and one of each registered kind."""

from __future__ import annotations

from harness import registry
from harness.interventions.kind import kind_of
from harness.invariants import sampling
from harness.invariants.family import EVERY_RUN, Family

ENGINE = Family("engine", inherited=EVERY_RUN)


def families() -> tuple[Family, ...]:
    """The families in the order in which they are checked."""
    kinds = (kind_of(name).identities for name in registry.interventions.names())
    return (ENGINE, sampling.FAMILY, *kinds)
