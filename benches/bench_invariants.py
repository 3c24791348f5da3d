"""The identities that every number rests on, for every intervention, engine and architecture."""

from __future__ import annotations

from harness.invariants import IdentityCheck
from harness.store.results import InvariantResult
from harness.testing import invariants


@invariants
def bench_invariants(check: IdentityCheck, finding: InvariantResult) -> None:
    assert (finding.holds, finding.name) == (True, check.name)
