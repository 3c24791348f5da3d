"""What the README shows is what the commands print today."""

from __future__ import annotations

from pathlib import Path

from harness.report.load import load_report
from harness.report.tables.terminal import table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_readmes_table_is_the_examples():
    shown = README.partition("```text\n")[2].partition("```")[0]
    printed = table(load_report(ROOT / "reports" / "example"), width=106)
    expected = [line for line in printed.splitlines() if line]
    told = [line for line in shown.splitlines() if line]
    assert told == expected[: expected.index(next(_warnings(expected)))]


def _warnings(lines):
    return (line for line in lines if line.startswith("warning: "))
