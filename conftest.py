"""One torch thread for tests and benches: the zoo's matrices are too small to share.

Two threads that wait for each other on a busy machine were measured several times slower than one.
Set before anything imports torch; whoever sets the variables keeps their own choice.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

pytest_plugins = ["pytester"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hypothesis' plugin imports all of it for its last word; where no test did, it has none."""
    manager = session.config.pluginmanager
    if "hypothesis" not in sys.modules and manager.has_plugin("hypothesispytest"):
        manager.unregister(name="hypothesispytest")
