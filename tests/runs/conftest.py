"""Fixtures of the run tests; what they are made of is in `small`."""

from __future__ import annotations

import pytest

from harness.models.loading import LoadedModel, load


@pytest.fixture(scope="session")
def loaded() -> LoadedModel:
    """zoo/moe: trained, 0.8M parameters; never changed by a test."""
    return load("zoo/moe", device="cpu")
