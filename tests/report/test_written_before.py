"""A report of an earlier version, as it was written, is read, shown and drawn."""

from __future__ import annotations

from pathlib import Path

import harness
from harness.report.figures.plots import plots
from harness.report.load import load_report
from harness.report.tables.terminal import table

BEFORE = Path(__file__).with_name("written_before")


def test_it_is_read_and_shown():
    report = load_report(BEFORE)
    assert len(report.cases) == 16
    assert report.doses == ()
    shown = table(report, width=120)
    assert "0.63 [0.55, 0.70]" in shown
    assert "ED50" not in shown
    assert [name for name, _ in plots(report)] == ["keep_topk"]


def test_it_is_compared_with_and_given_as_frames():
    before = harness.load_report(BEFORE)
    assert before.cases.shape[0] == 16
