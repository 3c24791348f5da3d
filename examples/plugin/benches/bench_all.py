"""All specs of this folder, and the identities of every kind that is installed."""

from harness.testing import experiments, invariants


@experiments("*.yaml")
def bench_specs(case, outcome):
    assert outcome.status == "complete"


@invariants
def bench_invariants(check, finding):
    assert finding.holds
