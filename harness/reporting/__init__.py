"""From results to what is read: statistics, gates, report.json with its tables, and plots."""

from harness.reporting.build import build
from harness.reporting.gates import check_gates, neutral_equals_baseline
from harness.reporting.load import load_report, samples
from harness.reporting.plots import dose_response, dots, plots
from harness.reporting.report import (
    Agreement,
    CaseReport,
    Gate,
    Git,
    Invariant,
    Report,
    RunInfo,
    TaskInfo,
)
from harness.reporting.schema import json_schema, validate
from harness.reporting.statistics import (
    Metric,
    Versus,
    mean_interval,
    paired,
    rate_interval,
    summarise,
)
from harness.reporting.terminal import table
from harness.reporting.write import check_writable, default_directory, write

__all__ = [
    "Agreement",
    "CaseReport",
    "Gate",
    "Git",
    "Invariant",
    "Metric",
    "Report",
    "RunInfo",
    "TaskInfo",
    "Versus",
    "build",
    "check_gates",
    "check_writable",
    "default_directory",
    "dose_response",
    "dots",
    "json_schema",
    "load_report",
    "mean_interval",
    "neutral_equals_baseline",
    "paired",
    "plots",
    "rate_interval",
    "samples",
    "summarise",
    "table",
    "validate",
    "write",
]
