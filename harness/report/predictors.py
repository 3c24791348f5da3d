"""Which number of a model's steps tells where help would mend a wrong answer.

From the traces of samples that have both: what asking is worth at each token, and what was read of
the model there. Wrong answers count, at all of their positions: a right one has nothing to mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.interventions.policy import STEP
from harness.measure.value_of_asking import VALUE
from harness.report.help_report import Estimated
from harness.report.predictors_report import PredictorReport
from harness.statistics.discrimination import Discrimination
from harness.statistics.recovery import Estimate
from harness.store.results import CaseResult


def predictor_reports(results: Sequence[CaseResult]) -> Iterator[PredictorReport]:
    """Of every case whose samples have both, the best one first."""
    for result in results:
        if VALUE not in result.traced:
            continue
        traces = [
            draw.completion.traces
            for draw in result.draws
            if VALUE in draw.completion.traces and not draw.score.correct
        ]
        names = [name for name in (traces[0] if traces else ()) if name.startswith(f"{STEP} ")]
        worth = [[value > 0 for value in each[VALUE]] for each in traces]
        told = Discrimination({name: [each[name] for each in traces] for name in names}, worth)
        if not names or not told.is_known:
            continue
        best = told.best()
        for name in [best, *(each for each in names if each != best)]:
            yield PredictorReport(
                case=result.case.id,
                statistic=name.removeprefix(f"{STEP} "),
                positions=sum(map(len, worth)),
                auc=_told(told.area(name)),
                behind=None if name == best else _told(told.lead(name, best)),
            )


def _told(estimate: Estimate) -> Estimated:
    return Estimated(value=estimate.value, low=estimate.low, high=estimate.high)
