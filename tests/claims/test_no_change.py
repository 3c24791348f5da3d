from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.no_change import check_rules
from harness.claims.saved import SavedRun
from harness.report.build import build
from harness.spec.gates import parse_rule
from tests.report.small_run import first, result_of, sweep


def saved(run, results, name="before"):
    return SavedRun.of(build(run, results), results, name)


@pytest.fixture
def before(run):
    return saved(run, sweep(n=40))


def changed(run, right, n=40):
    """The run again, with one case's number of right samples replaced."""
    results = sweep(n=n)
    results[1] = result_of(results[1].case, first(right, n))
    return saved(run, results, "after")


def judged(rule, before, after):
    (verdict,) = check_rules([parse_rule(rule)], before, after)
    assert str(verdict.gate) == f"compare before: {rule}"
    return verdict


@pytest.mark.parametrize(
    ("rule", "right", "holds"),
    [
        ("pass@1: worse, p<0.05", 20, False),
        ("pass@1: worse, p<0.05", 37, True),  # two samples down are chance
        ("pass@1: worse", 37, False),
        ("pass@1: worse, p<0.05", 40, True),
        ("pass@1: better", 40, False),
        ("pass@1: better, p<0.05", 40, True),
        ("pass@1: different", 39, True),
        ("pass@1: different", 38, False),
    ],
)
def test_what_is_found_fails(run, before, rule, right, holds):
    assert judged(rule, before, changed(run, right)).holds == holds


def test_the_case_is_named_with_its_change(run, before):
    detail = judged("pass@1: worse, p<0.05", before, changed(run, 20)).detail
    assert detail.startswith("keep_topk[style=agentic-count=0]: 0.975 -> 0.5 (-0.475, p = ")


def test_p_is_holms(run, before):
    # Six samples down have p = 0.031 alone, and not over ten cases.
    assert judged("pass@1: worse, p<0.05", before, changed(run, 33)).holds


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("pass@2: worse, p<0.05", "pass@2: no such metric in before"),
        ("pass@1: worse, p<1e-12", "40 samples cannot bring p below 1e-12 over 10 cases"),
    ],
)
def test_what_cannot_be_decided_fails(run, before, rule, says):
    verdict = judged(rule, before, changed(run, 39))
    assert not verdict.holds
    assert verdict.detail.startswith("undecided: ")
    assert says in verdict.detail


def test_few_samples_missing_cases_and_other_task_versions_fail(run, before):
    few = saved(run, sweep(n=8))
    assert "8 samples cannot bring p below 0.05" in judged("pass@1: worse, p<0.05", few, few).detail
    fewer = saved(run, sweep(doses=(0, 1), n=40))
    assert "not in before" in judged("pass@1: worse", fewer, before).detail
    results = [replace(each, task_version=2) for each in sweep(n=40)]
    other = judged("pass@1: worse", before, saved(run, results))
    assert "version 1 then, micro_humaneval version 2 now" in other.detail
    assert not other.holds


def test_every_experiment_is_judged(run):
    both = saved(run, sweep(n=40) + sweep(n=40, name="other"))
    verdicts = check_rules([parse_rule("pass@1: worse, p<0.05")], both, both)
    assert [(each.experiment, each.holds) for each in verdicts] == [
        ("keep_topk", True),
        ("other", True),
    ]
