"""Plots as SVG and PDF: opened by their readers, the same bytes for the same report."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import harness
from harness.report.exports import export

EXAMPLE = Path(__file__).parents[2] / "reports" / "example"


def test_plots_of_the_example(tmp_path):
    report = harness.load_report(EXAMPLE)
    first = export(report, "pictures", tmp_path / "first")
    again = export(report, "pictures", tmp_path / "again")
    assert [each.name for each in first] == ["keep_topk.svg", "keep_topk.pdf"]
    svg = ET.parse(first[0]).getroot()
    assert svg.tag.endswith("svg")
    assert any("pass@1" in "".join(each.itertext()) for each in svg.iter())
    assert first[1].read_bytes().startswith(b"%PDF-")
    assert [a.read_bytes() == b.read_bytes() for a, b in zip(first, again, strict=True)] == [
        True,
        True,
    ]
