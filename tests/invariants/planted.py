"""Defects that tests plant in the code, each with the name of the identity that must see it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.invariants import Checker, IdentityCheck

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


class Defects(dict[str, tuple[str, Plant]]):
    """Name of a defect -> the identity that must see it, and what plants it."""

    def seen_by(self, identity: str) -> Callable[[Plant], None]:
        """Register a function that plants a defect."""

        def register(plant: Plant) -> None:
            self[plant.__name__] = identity, plant

        return register

    def check(
        self, name: str, by_name: dict[str, IdentityCheck], checker: Checker, patch: Patch
    ) -> None:
        """Plant a defect, and hold that its identity is violated and says how."""
        identity, plant = self[name]
        plant(patch)
        found = checker.check(by_name[identity])
        assert not found.holds
        assert found.detail
