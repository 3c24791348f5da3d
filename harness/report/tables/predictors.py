"""Below an experiment's table: which numbers of the model tell where help mends a wrong answer."""

from __future__ import annotations

from harness.report.help_report import Estimated
from harness.report.labels import label, varying
from harness.report.report import RunReport


def predictors(report: RunReport, experiment: str) -> list[str]:
    """A line for each case that says what asking is worth."""
    cases = report.experiment(experiment)
    axes = varying(cases)
    lines = []
    for case in cases:
        own = [each for each in report.predictors if each.case == case.id]
        if own:
            name = label(case.params, axes)
            told = ", ".join(
                f"{each.statistic} {_interval(each.auc)}"
                + (f" ({_interval(each.behind, sign=True)})" if each.behind else "")
                for each in own
            )
            lines.append(
                f"{name + ': ' if name else ''}where help mends a wrong answer is told by (area "
                f"under the ROC curve; in brackets beside the best one): {told}"
            )
    return lines


def _interval(each: Estimated, *, sign: bool = False) -> str:
    form = "+.2f" if sign else ".2f"
    if each.value is None or each.low is None or each.high is None:
        return "-" if each.value is None else format(each.value, form)
    return f"{each.value:{form}} [{each.low:{form}}, {each.high:{form}}]"
