"""Which numbers of the steps tell where help mends: from the traces of wrong answers alone."""

from __future__ import annotations

from dataclasses import replace

from harness.report.build import build
from harness.report.figures.predictors import predictors_figure
from harness.report.tables.predictors import predictors
from tests.report.small_run import sweep


def valued(results):
    """Draws with what asking is worth, told by one number wholly and by the other not at all."""
    found = []
    for result in results:
        draws = tuple(
            replace(
                draw,
                completion=replace(
                    draw.completion,
                    traces={
                        "worth": (0.0, 1.0, 0.0),
                        "step sure": (1.0, 3.0 + number, 2.0),
                        "step blind": (5.0, 5.0, 5.0),
                    },
                ),
                score=replace(draw.score, correct=number == 0),
            )
            for number, draw in enumerate(result.draws)
        )
        found.append(replace(result, draws=draws))
    return found


def test_the_best_number_comes_first_and_the_others_are_compared_with_it(run):
    results = valued(sweep(doses=(0,), n=6))
    report = build(run, results)
    sure, blind = report.predictors[:2]
    assert (sure.statistic, sure.auc.value, sure.behind) == ("sure", 1.0, None)
    assert (blind.statistic, blind.auc.value, blind.behind.value) == ("blind", 0.5, -0.5)
    # Right answers have nothing to mend.
    assert sure.positions == 3 * (len(results[0].draws) - 1)
    name = report.cases[0].experiment
    assert any("sure 1.00" in each for each in predictors(report, name))
    assert predictors_figure(report, name) is not None


def test_without_both_there_is_nothing_to_tell(run):
    report = build(run, sweep(doses=(0,), n=3))
    assert report.predictors == ()
    assert predictors_figure(report, report.cases[0].experiment) is None
