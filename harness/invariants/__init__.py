"""Identities that every number rests on, checked on models: `pytest benches -k invariants`."""

from harness.invariants.checking import Checker, IdentityCheck, check_all, checks
from harness.invariants.families import families
from harness.invariants.family import Family
from harness.invariants.finding import Finding

__all__ = ["Checker", "Family", "Finding", "IdentityCheck", "check_all", "checks", "families"]
