"""Fixtures of the run tests; what they are made of is in `small`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import LoadedModel, load


@pytest.fixture(scope="session")
def loaded() -> LoadedModel:
    """zoo/moe: trained, 0.8M parameters; never changed by a test."""
    return load("zoo/moe", device="cpu")


@pytest.fixture(scope="module")
def engine(loaded) -> TransformersEngine:
    """zoo/moe in an engine that a module's tests share."""
    return TransformersEngine(loaded)


@pytest.fixture
def written(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Writes a spec, with (old, new) changes of its text, in the folder that a test works in."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str, *changes: tuple[str, str]) -> Path:
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        file = tmp_path / f"{name}.yaml"
        file.write_text(text)
        return file

    return write
