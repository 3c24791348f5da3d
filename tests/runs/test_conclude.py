"""The end of every kind of run: which claims are judged, and what a report says of its run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from harness.claims.claims import Claims
from harness.launch.closing import closing, outcomes
from harness.report.load import load_report
from harness.resolve.progress import Counts
from harness.runs.conclude import conclude, run_info, told_once
from harness.store.folder import Manifest
from harness.store.results import UsageMap
from tests.runs.small import cases, result_of


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


def test_what_was_not_judged_is_said_beside_what_was(run, results, directory):
    part = [each for each in results if each.case.dose != 0]
    finished = conclude(run, part, directory)
    assert finished.problems == []
    assert finished.verdicts == [
        (
            "gates: 0 of 1 judged; neutral_equals_baseline needs a neutral case "
            "(6 of 8 cases selected)"
        )
    ]
    (waiting,) = load_report(directory).unjudged
    assert (waiting.gate, waiting.experiment) == ("neutral_equals_baseline", "keep_topk")
    asked = conclude(run, part, directory / "asked", claims=Claims.read(gates=["pass@1 >= 0"]))
    assert asked.verdicts[0].startswith("gates: 1 of 2 judged, 1 of 1 hold; neutral_equals_")
    named = conclude(
        run, part, directory / "named", claims=Claims.read(gates=["neutral_equals_baseline"])
    )
    assert (named.verdicts, named.report.unjudged) == (["gates: 0 of 1 hold"], ())


def test_a_report_says_what_its_run_took(results, directory):
    started = datetime(2026, 1, 1, tzinfo=UTC)
    counts = Counts(
        requests_done=9, requests_stored=3, tokens=500, loads=1, seconds=4.0, cases_total=8
    )
    info = run_info(
        Manifest("id", started, "pytest", "/out"), {}, {}, started + timedelta(seconds=70), counts
    )
    finished = conclude(info, results, directory)
    cost = load_report(directory).run.cost
    assert cost is not None
    assert (cost.wall_seconds, cost.tokens_per_second) == (70, 125)
    assert list(closing(finished, link=False)) == [
        "1 model load; 9 requests (3 stored), 500 tokens in 4.0 s (125 tokens/s)",
        f"report: {directory}/index.html",
    ]
    assert outcomes(finished) == "8 passed in 70.00s"
    linked = list(closing(replace(finished, loads={"gw0": 1}), link=True))
    assert linked[0].startswith("1 model load (gw0: 1); ")
    uri = (directory / "index.html").as_uri()
    path = f"{directory}/index.html"
    assert linked[-1] == f"report: \x1b]8;;{uri}\x1b\\{path}\x1b]8;;\x1b\\"
    cut = [*results[:-1], replace(results[-1], status="failed", draws=(), error="over")]
    failed = replace(conclude(info, cut, directory / "cut"), skipped=["x is left out"])
    assert outcomes(failed) == "1 failed, 7 passed, 1 skipped in 70.00s"
    older = finished.report.model_copy(update={"run": info.model_copy(update={"cost": None})})
    assert len(list(closing(replace(finished, report=older), link=False))) == 1


def test_a_map_is_told_by_the_first_case_of_each_experiment_that_has_it():
    one, other = (UsageMap(name, (0,), ((0.5, 0.5),)) for name in ("a", "b"))
    asked = [
        *cases(axes={"intervention.count": [0, 1, 2, 3]}),
        *cases("other", axes={"intervention.count": [1]}),
    ]
    given = (None, one, one, other, one)
    results = [
        replace(result_of(case.case, [(0,), (1,)]), usage=usage)
        for case, usage in zip(asked, given, strict=True)
    ]
    assert [result.usage for result in told_once(results)] == [None, one, None, other, one]
