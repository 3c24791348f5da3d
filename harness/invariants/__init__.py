"""Identities that every number rests on, checked on models: `pytest benches -k invariants`."""

from harness.invariants.checking import Check, Checker, check_all, checks
from harness.invariants.finding import Finding
from harness.invariants.registry import FAMILIES, Family

__all__ = ["FAMILIES", "Check", "Checker", "Family", "Finding", "check_all", "checks"]
