"""Running code that a model wrote: isolated from this machine, with verdicts that it cannot forge.

    isolation = sandbox.choose()                    # raises SandboxError where nothing isolates
    verdicts = sandbox.check(checks, isolation)     # one Verdict per Check

Importing this package loads nothing: the warm interpreters import its modules too, and every module
they load is copied for every check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.sandbox.interpreter import Check
    from harness.sandbox.levels import Level
    from harness.sandbox.limits import LIMITS, SCORER_VERSION
    from harness.sandbox.pool import Isolation, check, choose
    from harness.sandbox.verdicts import Outcome, Verdict

__all__ = [
    "LIMITS",
    "SCORER_VERSION",
    "Check",
    "Isolation",
    "Level",
    "Outcome",
    "Verdict",
    "check",
    "choose",
]

_HOMES = {
    "LIMITS": "limits",
    "SCORER_VERSION": "limits",
    "Check": "interpreter",
    "Isolation": "pool",
    "Level": "levels",
    "Outcome": "verdicts",
    "Verdict": "verdicts",
    "check": "pool",
    "choose": "pool",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'harness.sandbox' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"harness.sandbox.{_HOMES[name]}"), name)
