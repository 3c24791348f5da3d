"""Running code that a model wrote, away from this process."""

from harness.sandbox.process import Verdict, check

__all__ = ["Verdict", "check"]
