"""Identities that every number rests on, checked on models: `pytest benches -k invariants`."""

from harness.invariants.checking import Check, Checker, check_all, checks
from harness.invariants.family import Family
from harness.invariants.finding import Finding
from harness.invariants.registry import families

__all__ = ["Check", "Checker", "Family", "Finding", "check_all", "checks", "families"]
