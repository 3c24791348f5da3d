from __future__ import annotations

import pytest

from harness import registry

MODULES = ("nudge", "ban", "flatten", "doubt", "ablate")


@pytest.fixture
def kinds():
    """Five kinds that no line of the package knows, one for each mechanism."""
    for name in MODULES:
        registry.interventions.register(name, f"tests.kinds.{name}:KIND")
    yield MODULES
    for name in MODULES:
        registry.interventions.unregister(name)
