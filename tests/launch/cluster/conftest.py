"""A real SLURM for the tests that need one, started once and stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.launch.cluster.one_node import OneNode, absent


@pytest.fixture(scope="session")
def slurm() -> Iterator[OneNode]:
    """One node, whose arrays have three tasks at most."""
    why = absent()
    if why is not None:
        pytest.skip(why)
    with OneNode(largest=3) as node:
        yield node
