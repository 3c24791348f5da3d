"""Pages that most tests of the scripts look at."""

from __future__ import annotations

import pytest

from harness.reporting import load_report
from harness.reporting.load import sample_records
from tests.reporting.small_run import (
    sweep,
)

from .parts import EXAMPLE


@pytest.fixture
def results():
    """With doses enough that the last one's difference survives the correction."""
    return sweep(doses=(0, 1, 2, 4, 8, 16))


@pytest.fixture
def example(show):
    """The report of a real run: router masks on zoo/moe, all 164 problems in both styles."""
    return show(load_report(EXAMPLE), sample_records(EXAMPLE))
