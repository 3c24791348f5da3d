"""Real pytest on benches of identities: what is selected, reported, skipped and refused."""

from __future__ import annotations

import json

import pytest

from harness.models.loading import load
from harness.report.load import load_report
from harness.runs.merge import merge

BENCH = """\
from harness.testing import invariants

@invariants
def bench_invariants(check, finding):
    assert finding.holds
"""
DEFECT = """\
from harness.interventions.router_mask.description import RouterMask

def pytest_runtest_setup(item):
    item.original = RouterMask.neutral
    RouterMask.neutral = lambda self: self.model_copy(update={"points": self.points[:2]})

def pytest_runtest_teardown(item):
    RouterMask.neutral = item.original
"""
NEUTRAL = "moe-unnormalised and fast and router_mask and neutral_alone"


@pytest.fixture(scope="module", autouse=True)
def _modules_that_must_not_be_imported_twice() -> None:
    """pytester forgets what a run inside this process imported; see tests/plugin/test_hooks.py."""
    load("zoo/moe")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyprojecttoml(
        '[tool.pytest]\npython_files = ["bench_*.py"]\npython_functions = ["bench_*"]\n'
    )
    pytester.path.joinpath("bench_invariants.py").write_text(BENCH)
    return pytester


def report_of(project: pytest.Pytester) -> dict:
    (path,) = (project.path / "reports").glob("*/report.json")
    return json.loads(path.read_text())


def test_a_run_of_invariants_alone_has_a_report(project):
    result = project.runpytest_inprocess("-k", NEUTRAL)
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["invariants: 1 of 1 hold", "1 model load", "report: reports/*"])
    report = report_of(project)
    assert report["cases"] == []
    (found,) = report["invariants"]
    assert found["name"] == "router_mask.neutral_alone_equals_baseline"
    assert found["case"] == "tiny/qwen3_moe-unnormalised, transformers fast"
    assert (found["holds"], found["departure"]) == (True, None)
    assert f"fingerprint of {found['case']}" in report["run"]["determinism"]


def test_a_violated_identity_fails_the_run_and_is_reported_with_its_departure(project):
    project.makeconftest(DEFECT)
    result = project.runpytest_inprocess("-k", NEUTRAL)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (found,) = report_of(project)["invariants"]
    assert found["holds"] is False
    assert found["departure"]["token"] >= 0
    assert found["departure"]["log_probability_gap"] != 0
    assert found["detail"].startswith(found["departure"]["request"])
    line = f"{found['name']} is violated by {found['case']}: {found['detail']}"
    assert line in result.outlines
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*def bench_invariants*")


@pytest.mark.slow
def test_findings_of_workers_are_in_the_report(project, prepared):
    pytest.importorskip("xdist")
    project.makeconftest(DEFECT)
    some = "moe-unnormalised and fast and router_mask and (neutral_alone or every_dose)"
    ended = prepared.run(project.path, "-k", some, *prepared.workers(2))
    assert "\n2 model loads (gw0: 1, gw1: 1)\n" in ended.output
    assert ended.status == pytest.ExitCode.TESTS_FAILED
    held = {each["name"]: each["holds"] for each in report_of(project)["invariants"]}
    assert held == {
        "router_mask.neutral_alone_equals_baseline": False,
        "router_mask.neutral_of_every_dose": True,
    }


def test_ones_own_model_is_checked_and_what_does_not_apply_skipped_by_name(project):
    result = project.runpytest_inprocess(
        "--titrate-model=zoo/base", "-k", "seeds or fast-router_mask", "-rs"
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["skipped"]) == (2, 1)
    result.stdout.fnmatch_lines(["SKIPPED*router_mask: zoo/base: LlamaForCausalLM*no routers*"])
    cases = {each["case"] for each in report_of(project)["invariants"]}
    assert cases == {"zoo/base, transformers fast", "zoo/base, transformers strict"}


def test_shards_of_identities_alone_are_merged_into_the_report_of_a_single_run(project):
    some = "moe-unnormalised and router_mask and (neutral_alone or every_dose or locality)"
    single = project.runpytest_inprocess("-k", some, "--titrate-report=single")
    assert single.parseoutcomes()["passed"] == 4
    for index in (1, 2):
        done = project.runpytest_inprocess(
            "-k", some, f"--titrate-shard={index}/2", f"--titrate-report={index}"
        )
        assert (done.ret, done.parseoutcomes()["passed"]) == (0, 2)
    finished = merge([project.path / "1", project.path / "2"], project.path / "whole")
    assert finished.problems == []
    expected = load_report(project.path / "single")
    assert finished.report.invariants == expected.invariants
    assert finished.report.run.determinism == expected.run.determinism


def test_more_shards_than_identities_are_refused(project):
    done = project.runpytest_inprocess("-k", NEUTRAL, "--titrate-shard=2/2")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: shard 2/2: there is work for 1 of 2 shards only; use 1/1*"])
    assert not (project.path / "reports").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--titrate-model=zoo/nothing", "*zoo/nothing is not in the zoo; use one of *"),
        ("--titrate-set=engine.dtyp=bfloat16", "*engine.dtyp*no such field; did you mean*dtype*"),
        (
            "--titrate-set=engine.dtype=int4",
            "*engine.dtype=int4: 'int4' is not accepted;*",
        ),
    ],
)
def test_what_cannot_be_checked_is_one_line(project, option, message):
    result = project.runpytest_inprocess(option)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")
