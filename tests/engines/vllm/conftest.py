"""vLLM on the zoo: one engine per model for all tests, and the transformers engine beside it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from harness.engines import open_engine
from harness.engines.contract import Engine
from harness.engines.vllm.engine import VllmEngine
from harness.spec import EngineSettings

needs_vllm = pytest.mark.skipif(
    find_spec("vllm") is None, reason="vllm is not installed here; make test-vllm"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use a fixture of vLLM's skip, by name, where it is not installed."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if {"served", "vllm_installed"} & set(names):
            item.add_marker(needs_vllm)
            # What vLLM and its dependencies warn of when they are imported and started.
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def vllm_installed() -> None:
    """For tests that start an engine of their own."""


@pytest.fixture(scope="module", params=["zoo/moe"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[VllmEngine, Engine]]:
    """A model in vLLM, and in transformers."""
    vllm = VllmEngine(request.param, EngineSettings(name="vllm", slots=8))
    yield vllm, open_engine(request.param, EngineSettings(dtype="float32"))
    vllm.close()
