"""A server with planted faults, and engines that ask it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from harness.engines.served.engine import ServedEngine
from harness.spec import EngineSettings
from tests.engines.served.faulty import MODEL, running


@pytest.fixture
def server():
    with running() as state:
        yield state


@pytest.fixture
def engine(server):
    """Opens engines on the server, which are closed at the end."""
    with ExitStack() as stack:

        def opened(**settings):
            given = {"base_url": server.url, "retries": 2, "timeout": 5.0, **settings}
            made = ServedEngine(MODEL, EngineSettings(name="served", **given))
            stack.callback(made.close)
            server.asked.clear()
            return made

        yield opened
