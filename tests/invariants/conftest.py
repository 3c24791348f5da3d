"""One tiny model for all tests, loaded once; checks of it, by the identity's name."""

from __future__ import annotations

from functools import cache

import pytest

from harness.invariants import Checker, IdentityCheck, checking, checks
from harness.invariants.tiny_models import tiny_model

MODEL = "tiny/qwen3_moe-unnormalised"


@pytest.fixture(autouse=True)
def _one_copy_of_every_tiny_model(monkeypatch):
    monkeypatch.setattr(checking, "tiny_model", _kept)


_kept = cache(tiny_model)


@pytest.fixture(scope="session")
def by_name() -> dict[str, IdentityCheck]:
    """The checks of one tiny model under the fast engine."""
    return {c.name: c for c in checks() if (c.model, c.engine) == (MODEL, "fast")}


@pytest.fixture
def checker() -> Checker:
    return Checker()
