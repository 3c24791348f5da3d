"""The end of every kind of run: which claims are judged, and what a report says of its run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from harness.reporting import load_report
from harness.reporting.conclude import conclude, run_info
from harness.runs.folder import Manifest


def test_a_report_is_concluded_with_its_checks(run, results, directory):
    finished = conclude(run, results, directory)
    assert load_report(directory) == finished.report
    assert [check.holds for check in finished.invariants] == [True, True]
    assert [gate.holds for gate in finished.gates] == [True]
    assert finished.failed == finished.problems == []


def test_problems_are_violated_invariants_and_failed_gates(run, results, directory):
    neutral = next(each for each in results if each.is_neutral)
    draws = tuple(
        replace(draw, completion=replace(draw.completion, tokens=(9,), log_probabilities=(-1.0,)))
        for draw in neutral.draws
    )
    spoilt = [replace(each, draws=draws) if each is neutral else each for each in results]
    spoilt = [
        replace(
            each,
            draws=tuple(
                replace(
                    draw,
                    completion=replace(
                        draw.completion,
                        log_probabilities=(-1.0,) * len(draw.completion.tokens),
                    ),
                    agreement=0,
                )
                for draw in each.draws
            ),
        )
        for each in spoilt
    ]
    finished = conclude(run, spoilt, directory)
    assert [problem.split(":")[0] for problem in finished.problems] == [
        f"neutral_equals_baseline is violated by {neutral.case.id}",
        "gate neutral_equals_baseline of keep_topk failed",
    ]


def test_incomplete_cases_are_counted_as_failed(run, results, directory):
    cut = [*results[:-1], replace(results[-1], status="incomplete", draws=(), error="over")]
    assert conclude(run, cut, directory).failed == [results[-1].case.id]


def test_a_run_is_described_by_its_manifest():
    started = datetime(2026, 1, 1, tzinfo=UTC)
    manifest = Manifest("id", started, "pytest", "/out", ("abc", True), {"torch": "2"})
    info = run_info(manifest, {"dtype": "float32"}, {"cores": 2}, None)
    assert (info.id, info.started, info.command) == ("id", started, "pytest")
    assert info.git is not None
    assert (info.git.commit, info.git.dirty) == ("abc", True)
    assert (info.versions, info.hardware) == ({"torch": "2"}, {"cores": 2})
    assert run_info(replace(manifest, git=None), {}, {}, started).git is None
