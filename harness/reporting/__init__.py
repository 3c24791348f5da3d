"""From results to what is read: statistics, gates, report.json with its tables, and plots."""

from harness.reporting.build import build
from harness.reporting.compare import Comparison, compare
from harness.reporting.comparison_rules import check_rules
from harness.reporting.comparison_table import comparison_table
from harness.reporting.dose_response import dose_response
from harness.reporting.dots import dots
from harness.reporting.gates import check_gates
from harness.reporting.intervals import mean_interval, rate_interval
from harness.reporting.load import load_report, samples
from harness.reporting.plots import plots
from harness.reporting.report import Agreement, CaseReport, Gate, Invariant, Report, TaskInfo
from harness.reporting.run_info import Git, RunInfo
from harness.reporting.saved import SavedRun, SavedRuns
from harness.reporting.schema import json_schema, validate
from harness.reporting.statistics import Metric, Versus, holm, paired, summarise
from harness.reporting.terminal import table
from harness.reporting.write import check_writable, default_directory, write, write_page

__all__ = [
    "Agreement",
    "CaseReport",
    "Comparison",
    "Gate",
    "Git",
    "Invariant",
    "Metric",
    "Report",
    "RunInfo",
    "SavedRun",
    "SavedRuns",
    "TaskInfo",
    "Versus",
    "build",
    "check_gates",
    "check_rules",
    "check_writable",
    "compare",
    "comparison_table",
    "default_directory",
    "dose_response",
    "dots",
    "holm",
    "json_schema",
    "load_report",
    "mean_interval",
    "paired",
    "plots",
    "rate_interval",
    "samples",
    "summarise",
    "table",
    "validate",
    "write",
    "write_page",
]
