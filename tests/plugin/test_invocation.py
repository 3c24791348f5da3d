"""What pytest's command line means: mistakes in it are told once, of what is selected."""

from __future__ import annotations

import pytest

from harness.plugin import invocation

MASKED = """\
name: masked
model: zoo/moe
task: {name: micro_humaneval, limit: 1}
intervention: {kind: router_mask, points: {random: 0}, count: 0}
axes: {intervention.count: [0, 30]}
dose: intervention.count
"""
PLAIN = "name: plain\nmodel: zoo/moe\ntask: {name: micro_humaneval, limit: 1}\n"
BENCH = """\
from harness.testing import experiments

@experiments("*.yaml")
def bench_{name}(case, outcome):
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyprojecttoml(
        '[tool.pytest]\npython_files = ["bench_*.py"]\npython_functions = ["bench_*"]\n'
    )
    specs, benches = pytester.mkdir("specs"), pytester.mkdir("benches")
    (specs / "masked.yaml").write_text(MASKED)
    (specs / "plain.yaml").write_text(PLAIN)
    for name in ("first", "second"):
        (benches / f"bench_{name}.py").write_text(BENCH.format(name=name))
    return pytester


def told(result: pytest.RunResult, text: str) -> int:
    return sum(text in line for line in result.outlines if not line.startswith("ERROR "))


def test_a_mistyped_field_is_told_once(project):
    result = project.runpytest_inprocess("benches", "--titrate-set=task.limt=1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert told(result, "--titrate-set task.limt=1: no such field; did you mean task.limit?") == 1


def test_a_field_that_does_not_fit_is_told_of_selected_specs_alone(project):
    """`count` is the mask's; the plain spec has no intervention at all."""
    option = "--titrate-set=intervention.count=many"
    refused = project.runpytest_inprocess("benches", option, "-k", "masked", "--collect-only")
    assert refused.ret == pytest.ExitCode.INTERRUPTED
    assert told(refused, "intervention.count=many: 'many' is not accepted; it should be") == 1
    assert told(refused, "plain") == 0


@pytest.mark.parametrize("option", ["axes.intervention.count=[0, 7]", "task.limit=2"])
def test_an_axis_or_a_limit_need_not_fit_what_is_not_selected(project, option):
    """Neither an axis of an intervention nor a limit beyond its data fits the plain spec."""
    (project.path / "specs" / "plain.yaml").write_text(
        "name: plain\nmodel: zoo/moe\ntask: {path: one.jsonl, answer: exact}\n"
    )
    (project.path / "specs" / "one.jsonl").write_text('{"prompt": "Is it?", "answer": "Yes"}\n')
    option = f"--titrate-set={option}"
    found = project.runpytest_inprocess("benches", option, "-k", "masked", "--collect-only")
    assert found.ret == pytest.ExitCode.OK
    refused = project.runpytest_inprocess("benches", option, "-k", "plain", "--collect-only")
    assert refused.ret == pytest.ExitCode.INTERRUPTED
    assert told(refused, option.removeprefix("--titrate-set=").partition("=")[0]) == 1


def test_a_field_that_fits_nothing_is_no_matter_where_nothing_is_selected(project):
    option = "--titrate-set=intervention.count=many"
    result = project.runpytest_inprocess("benches", option, "-k", "neither", "--collect-only")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert told(result, "many") == 0


def test_a_spec_is_read_once_whoever_asks_for_it(project, monkeypatch):
    read = []
    load = invocation._load

    def counted(file, changes):
        read.append(file.name)
        return load(file, changes)

    monkeypatch.setattr(invocation, "_load", counted)
    project.runpytest_inprocess("benches", "specs/plain.yaml", "--collect-only", "-q")
    assert sorted(read) == ["masked.yaml", "plain.yaml"]
