"""What a report says of numbers that predict where asking helps (`docs/guided.md`)."""

from __future__ import annotations

from pydantic import PositiveInt

from harness.report.help_report import Estimated
from harness.report.run_info import ReportPart


class PredictorReport(ReportPart):
    """How well one number of the model's tells where help mends a wrong answer."""

    case: str
    statistic: str
    positions: PositiveInt
    """Of how many positions of wrong answers."""
    auc: Estimated
    """Area under the ROC curve; below .5 where smaller numbers say that help mends."""
    behind: Estimated | None
    """By how much it tells less than the best one, whichever way each points, over the same draws
    of samples; null of the best one."""
