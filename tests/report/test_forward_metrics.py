"""What forward passes measure, in tables, rules, gates, saved runs: a loss that rises is worse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.compare import compare
from harness.claims.comparison import comparison_table
from harness.claims.gates import check_gates
from harness.claims.no_change import check_directions, check_rules
from harness.claims.saved import SavedRun, SavedRuns
from harness.errors import OptionError, ReportError
from harness.report.build import build
from harness.report.load import RECORDS
from harness.report.tables.terminal import table
from harness.report.write import write
from harness.spec.gates import parse_gate, parse_rule
from tests.report.small_run import measured

N = 40


def saved(run, results, name="before"):
    return SavedRun.of(build(run, results), results, name)


@pytest.fixture
def before(run):
    return saved(run, measured())


@pytest.mark.parametrize(
    ("rule", "shift", "holds"),
    [
        ("nll_agentic: worse, p<0.05", 0.2, False),
        ("nll_agentic: worse, p<0.05", -0.2, True),
        ("nll_agentic: better, p<0.05", 0.2, True),
        ("nll_agentic: better, p<0.05", -0.2, False),
        ("nll_agentic: worse", 0.0, True),
        ("nll_agentic: different, p<0.05", -0.2, False),
    ],
)
def test_a_loss_that_rises_is_worse(run, before, rule, shift, holds):
    (verdict,) = check_rules([parse_rule(rule)], before, saved(run, measured(shift), "after"))
    assert verdict.holds == holds


def test_counts_and_words_follow_the_direction(run, before):
    risen = saved(run, measured(0.2), "after")
    versus = risen.report.cases[1].versus_baseline
    loss, difference = versus["nll_agentic"], versus["delta_nll"]
    assert (loss.good, loss.better, loss.worse) == ("lower", 0, N)
    assert loss.delta == pytest.approx(0.2)
    assert difference.good == "neither"
    told = comparison_table(compare(before, risen, metric="nll_agentic"))
    assert "0/40" in told
    assert "samples that fell (better) and rose (worse);" in " ".join(told.split())
    base, case = measured(0.2)
    deltas = {**case.sample_metrics["delta_nll"], "s/0": 1.0}
    moved = replace(case, sample_metrics={**case.sample_metrics, "delta_nll": deltas})
    for told in (comparison_table(compare(before, risen)), table(build(run, [base, moved]))):
        assert "rose and fell" in " ".join(told.split())
        assert "better" not in told


@pytest.mark.parametrize("change", ["worse", "better"])
def test_a_metric_without_direction_cannot_be_asked_for_one(run, before, change):
    rule = f"delta_nll: {change}, p<0.05"
    with pytest.raises(OptionError) as caught:
        check_directions([parse_rule(rule)], before, "fail")
    assert caught.value.option == "fail"
    assert caught.value.problem == (
        f"'{rule}': delta_nll has no better or worse, only higher and lower (nll_agentic or "
        "nll_assisted has); write delta_nll: different"
    )
    (verdict,) = check_rules([parse_rule(rule)], before, saved(run, measured(0.2), "after"))
    assert not verdict.holds
    assert "undecided: delta_nll has no better or worse" in verdict.detail
    rules = map(parse_rule, ["delta_nll: different", f"nll_agentic: {change}"])
    check_directions(rules, before, "fail")


def test_values_between_0_and_1_do_not_make_a_share(run):
    case = build(run, measured(0.2)).cases[1]
    assert case.metrics["nll_agentic"].method == "t_hall"
    assert case.versus_baseline["nll_agentic"].test == "sign_flip"


def judged(gate, results, before):
    (verdict,) = check_gates([("fwd", [parse_gate(gate)])], results, [], lambda _: before)
    return verdict


@pytest.mark.parametrize(
    ("shift", "margin", "holds", "says"),
    [
        (0.0, 0.1, True, "1 of 1 cases"),
        (0.05, 0.1, True, "1 of 1 cases"),
        (-0.5, 0.1, True, "1 of 1 cases"),
        (0.2, 0.1, False, "fwd: [+0.2"),
    ],
)
def test_no_worse_means_no_higher_for_a_loss(before, shift, margin, holds, says):
    # Of an interval's width only: each sample moves by the same, plus a little.
    results = measured(shift)
    loss = results[1].sample_metrics["nll_agentic"]
    for index, sample in enumerate(loss):
        loss[sample] += shift * 0.01 * (index % 3)
    gate = f"nll_agentic no worse than before by more than {margin} (paired, p < 0.05)"
    verdict = judged(gate, results, before)
    assert verdict.holds == holds
    assert says in verdict.detail


def test_too_few_samples_to_exclude_a_rise_are_told_with_its_sign(before):
    results = measured()
    loss = results[1].sample_metrics["nll_agentic"]
    for index, sample in enumerate(loss):
        loss[sample] += 1.0 if index % 2 else -1.0
    gate = "nll_agentic no worse than before by more than 0.1 (paired, p < 0.05)"
    assert judged(gate, results, before).detail.endswith("too few to exclude +0.1")


@pytest.mark.parametrize("metric", ["", "delta_nll "])
def test_no_worse_is_undecided_without_a_direction(before, metric):
    gate = f"{metric}no worse than before by more than 0.1 (paired, p < 0.05)"
    verdict = judged(gate, measured(), before)
    assert not verdict.holds
    assert verdict.detail.startswith("undecided: delta_nll has no better or worse")


def test_the_directory_of_a_report_has_the_values_too(run, tmp_path):
    results = measured(0.2)
    report = build(run, results)
    write(report, results, tmp_path / "report")
    found = SavedRuns(tmp_path / "saved").find(str(tmp_path / "report"))
    assert found.values == SavedRun.of(report, results).values
    assert found.values["fwd"]["nll_agentic"]
    (tmp_path / "report" / RECORDS).unlink()
    with pytest.raises(ReportError, match=r"samples? of forward passes are in records\.jsonl"):
        SavedRuns(tmp_path / "saved").find(str(tmp_path / "report"))
