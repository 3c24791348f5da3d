"""Pages that most tests of the scripts look at."""

from __future__ import annotations

import pytest

from harness.report.load import load_report, sample_records
from tests.report.page.browser.parts import EXAMPLE
from tests.report.small_run import sweep


@pytest.fixture
def results():
    """With doses enough that the last one's difference survives the correction."""
    return sweep(doses=(0, 1, 2, 4, 8, 16))


@pytest.fixture
def example(show):
    """The report of a real run: router masks on zoo/moe, all 164 problems in both styles."""
    return show(load_report(EXAMPLE), sample_records(EXAMPLE))
