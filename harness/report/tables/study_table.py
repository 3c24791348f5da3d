"""A sweep over both prompt styles as the study's table: one row per number of masked points.

    top_n, agentic_pass, agentic_fail, assisted_pass, assisted_fail

Made from a report alone. An experiment has one when it asks every sample once, in both styles, at
several counts of masked points; for each combination of its other axes there is a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pandas as pd

from harness.report.labels import label, varying
from harness.report.report import CaseReport, RunReport

COUNT, STYLE = "intervention.count", "prompt.style"
VARIANTS = ("agentic", "assisted")
_METRIC = "pass@1"
COLUMNS = ("top_n", *(f"{v}_{verdict}" for v in VARIANTS for verdict in ("pass", "fail")))


def paired_summaries(report: RunReport) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield `(name, table)` for every sweep over both styles; tables have `COLUMNS`.

    A count at which a style has no result is left out: half a row could not be compared.
    """
    for experiment in report.experiments:
        cases = [case for case in report.experiment(experiment) if _counts(case)]
        others = {axis: name for axis, name in varying(cases).items() if axis not in (COUNT, STYLE)}
        groups: dict[str, list[CaseReport]] = {}
        for case in cases:
            groups.setdefault(label(case.params, others), []).append(case)
        for group, members in groups.items():
            rows = list(_rows(members))
            if rows:
                name = f"{experiment} {group}".strip()
                yield name, pd.DataFrame(rows, columns=list(COLUMNS))


def summary_files(report: RunReport) -> Iterator[tuple[str, str]]:
    """Yield `(path below the report, content)`: every table as CSV and as JSON records."""
    for name, table in paired_summaries(report):
        yield f"paired/{name}.csv", table.to_csv(index=False, lineterminator="\n")
        yield f"paired/{name}.json", json.dumps(table.to_dict("records"), indent=1) + "\n"


def _counts(case: CaseReport) -> bool:
    """Whether a case is one cell of such a table."""
    sampling = case.settings.get("sampling")
    once = isinstance(sampling, dict) and sampling.get("draws", 1) == 1
    return once and _METRIC in case.metrics and COUNT in case.params and STYLE in case.params


def _rows(cases: Sequence[CaseReport]) -> Iterator[tuple[int, ...]]:
    by_count: dict[int, dict[str, CaseReport]] = {}
    for case in cases:
        count, style = case.params[COUNT], case.params[STYLE]
        assert isinstance(count, int)
        by_count.setdefault(count, {})[str(style)] = case
    for count in sorted(by_count):
        if all(variant in by_count[count] for variant in VARIANTS):
            yield count, *(n for v in VARIANTS for n in _verdicts(by_count[count][v]))


def _verdicts(case: CaseReport) -> tuple[int, int]:
    """Samples that passed and that failed; together all of the task's."""
    metric = case.metrics[_METRIC]
    passed = round(metric.value * metric.n)
    return passed, metric.n - passed
