"""Real pytest on real specs and zoo/moe: selection, options, reports, and what goes wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness import registry
from harness.cli.main import main
from harness.models.loading import load
from harness.spec.engine_kind import engine_named

SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 3}
intervention:
  kind: router_mask
  points: {random: 0}
  count: 0
sampling: {max_new_tokens: 24}
axes:
  intervention.count: [0, 30]
  prompt.style: [assisted, agentic]
dose: intervention.count
gates: [neutral_equals_baseline]
"""
BENCH = """\
from harness.testing import experiments

@experiments("*.yaml")
def bench_all(case, outcome):
    assert outcome.scored == case.task.size
"""


@pytest.fixture(scope="module", autouse=True)
def _modules_that_must_not_be_imported_twice() -> None:
    """pytester forgets what a run inside this process imported; torch and the classes by which
    transformers converts weights have to be here before, and loading a model brings all of them."""
    load("zoo/moe")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A user's project: one spec, one bench, no configuration beyond names."""
    pytester.makepyprojecttoml(
        '[tool.pytest]\npython_files = ["bench_*.py"]\npython_functions = ["bench_*"]\n'
    )
    pytester.mkdir("specs").joinpath("small.yaml").write_text(SPEC)
    pytester.mkdir("benches").joinpath("bench_all.py").write_text(BENCH)
    return pytester


def write_spec(project: pytest.Pytester, text: str, name: str = "small") -> Path:
    path = project.path / "specs" / f"{name}.yaml"
    path.write_text(text)
    return path


def report_of(project: pytest.Pytester) -> dict:
    (path,) = (project.path / "reports").glob("*/report.json")
    return json.loads(path.read_text())


def test_ids_are_made_of_axis_values(project):
    result = project.runpytest_inprocess("benches", "--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "benches/bench_all.py::bench_all[[]small[[]count=0-style=assisted[]][]]",
            "benches/bench_all.py::bench_all[[]small[[]count=0-style=agentic[]][]]",
            "benches/bench_all.py::bench_all[[]small[[]count=30-style=assisted[]][]]",
            "benches/bench_all.py::bench_all[[]small[[]count=30-style=agentic[]][]]",
        ]
    )
    assert not (project.path / "reports").exists()


def test_a_run_ends_with_a_table_and_a_valid_report(project):
    result = project.runpytest_inprocess("benches")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*small*zoo/moe, micro_humaneval, n = 3*"])
    result.stdout.fnmatch_lines(["1 model load; 18 requests, *tokens/s)"])
    result.stdout.fnmatch_lines(["report: reports/*/index.html"])
    report = report_of(project)
    assert report["schema"] == 1
    ids = [case["id"] for case in report["cases"]]
    assert sorted(ids) == sorted(
        f"small[{dose}-style={style}]"
        for style in ("assisted", "agentic")
        for dose in ("baseline", "count=0", "count=30")
    )
    by_id = {case["id"]: case for case in report["cases"]}
    neutral = by_id["small[count=0-style=agentic]"]
    assert neutral["baseline"] == "small[baseline-style=agentic]"
    assert neutral["agreement"]["identical"] == 1.0
    assert neutral["nodeid"].endswith("bench_all[small[count=0-style=agentic]]")
    assert by_id["small[baseline-style=agentic]"]["nodeid"] is None
    assert by_id["small[count=30-style=agentic]"]["counts"]["changed"] > 0
    assert [check["holds"] for check in report["invariants"]] == [True, True]
    assert [gate["holds"] for gate in report["gates"]] == [True]
    directory = next((project.path / "reports").iterdir())
    assert sorted(path.name for path in directory.iterdir()) == [
        "cases.csv",
        "index.html",
        "paired",
        "plots",
        "records.jsonl",
        "report.json",
        "samples.jsonl",
    ]
    lines = (directory / "samples.jsonl").read_text().splitlines()
    assert len(lines) == 6 * 3
    assert [plot.name for plot in (directory / "plots").iterdir()] == ["small.png"]


def test_k_selects_by_axis_value_and_brings_the_baseline_along(project):
    result = project.runpytest_inprocess("benches", "-k", "small and agentic and 30")
    result.assert_outcomes(passed=1, deselected=3)
    assert [case["id"] for case in report_of(project)["cases"]] == [
        "small[baseline-style=agentic]",
        "small[count=30-style=agentic]",
    ]


def test_a_spec_file_is_collectable_by_itself(project):
    result = project.runpytest_inprocess("specs/small.yaml", "-v", "-k", "assisted")
    result.assert_outcomes(passed=2, deselected=2)
    result.stdout.fnmatch_lines(["specs/small.yaml::small[[]count=0-style=assisted[]] *PASSED*"])


def test_one_case_of_a_spec_file_is_selected_by_its_node_id(project):
    result = project.runpytest_inprocess("specs/small.yaml::small[count=30-style=agentic]")
    result.assert_outcomes(passed=1)


def test_specs_are_not_collected_unless_named(project):
    project.makepyfile(bench_nothing="def bench_nothing(): pass")
    result = project.runpytest_inprocess(".", "--collect-only", "-q")
    assert not any("small.yaml" in line for line in result.outlines)
    result = project.runpytest_inprocess("specs", "--collect-only", "-q")
    assert sum("small.yaml::" in line for line in result.outlines) == 4


def test_options_override_every_spec(project):
    result = project.runpytest_inprocess(
        "benches",
        "--titrate-limit=2",
        "--titrate-set=task.name=humaneval",
        "--titrate-set",
        "prompt.style=assisted",
        "--titrate-set=sampling.max_new_tokens=4",
        "--titrate-model=zoo/moe",
        "--titrate-report=out",
    )
    result.assert_outcomes(passed=2)
    report = json.loads((project.path / "out" / "report.json").read_text())
    assert {case["task"]["name"] for case in report["cases"]} == {"humaneval"}
    assert {case["task"]["size"] for case in report["cases"]} == {2}
    assert "--titrate-set=task.name=humaneval" in report["run"]["command"]


def test_unmet_requirements_skip_by_name(project):
    write_spec(project, SPEC + "requires: {gpu_memory_gib: 9999}\n")
    result = project.runpytest_inprocess("benches", "-rs")
    result.assert_outcomes(skipped=4)
    result.stdout.fnmatch_lines(["*small requires an accelerator with 9999 GiB; *"])
    assert not (project.path / "reports").exists()
    alone = project.runpytest_inprocess("specs/small.yaml")
    alone.assert_outcomes(skipped=4)


def bad(old: str, new: str, message: str):
    return pytest.param(old, new, message, id=message[:40])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        bad("zoo/moe", "zoo/nothing", "specs/small.yaml:2 model: zoo/nothing is not in the zoo; "),
        bad("zoo/moe", "./nowhere", "specs/small.yaml:2 model: folder * does not exist; "),
        bad("zoo/moe", "zoo/base", "specs/small.yaml:2 *LlamaForCausalLM *has no routers; "),
        bad("micro_humaneval", "tetris", "specs/small.yaml:3 task.name: *tetris* is not a task; "),
        bad("limit: 3", "limit: 999", "specs/small.yaml:3 task.limit: 999 *164"),
        bad("mode", "mode", "specs/small.yaml:10 intervention.count: 65 points to mask, but the "),
        bad("kind: router_mask", "kind: router_mask\n  mod: x", "specs/small.yaml:6 *did you mean"),
        bad("{random: 0}", "{file: none.json}", "specs/small.yaml:6 *none.json: cannot be read"),
        bad("[0, 30]", "[]", "specs/small.yaml:10 axes.intervention.count: "),
        bad("[0, 30]", "[0, lots]", "specs/small.yaml:10 axes.intervention.count[[]1]: 'lots' "),
    ],
)
def test_bad_specs_are_one_line_at_collection(project, old, new, message):
    text = SPEC.replace("[0, 30]", "[0, 65]") if old == "mode" else SPEC.replace(old, new)
    write_spec(project, text)
    result = project.runpytest_inprocess("benches")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"{message}*"])
    assert not any("Traceback" in line or "harness/" in line for line in result.outlines)
    assert not any("loading" in line for line in result.errlines)


def test_a_case_that_cannot_run_is_no_matter_where_it_is_not_selected(project):
    """Identities on a model of one's own run beside specs that this model cannot run."""
    dense = SPEC.replace("zoo/moe", "zoo/base").replace("name: small", "name: dense")
    write_spec(project, dense, "dense")
    result = project.runpytest_inprocess("benches", "--collect-only", "-q", "-k", "small")
    result.assert_outcomes(deselected=4)
    assert result.ret == pytest.ExitCode.OK
    result = project.runpytest_inprocess("benches", "-k", "dense or small")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*1 error*", "*ERROR collecting benches/bench_all.py*", "specs/dense.yaml:2 model: Llama*"]
    )
    told = [line for line in result.outlines if line.startswith("specs/dense.yaml:2 model: ")]
    assert len(told) == 1
    assert "has no routers" in told[0]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ('[{"layer": 4, "router": 0}]', "there is no layer 4, expert 0; *layers 0-3"),
        ('[{"layer": 0, "router": 16}]', "there is no layer 0, expert 16; *0-15"),
        ('{"layer": 0}', "*is not a list of points"),
        ("layer,router", "*is not JSON"),
    ],
)
def test_a_points_file_that_does_not_fit_is_refused(project, points, message):
    (project.path / "specs" / "points.json").write_text(points)
    write_spec(project, SPEC.replace("{random: 0}", "{file: points.json}"))
    result = project.runpytest_inprocess("benches")
    result.stdout.fnmatch_lines([f"specs/small.yaml:6 intervention.points.file: *{message}*"])


def test_replace_topk_must_leave_enough_experts(project):
    points = [{"layer": 1, "router": router} for router in range(16)]
    (project.path / "specs" / "points.json").write_text(json.dumps(points))
    text = SPEC.replace("{random: 0}", "{file: points.json}\n  mode: replace_topk")
    write_spec(project, text.replace("[0, 30]", "[0, 15]"))
    result = project.runpytest_inprocess("benches")
    result.stdout.fnmatch_lines(
        [
            (
                "specs/small.yaml:11 intervention.count: 15 points mask 15 routers of layer 1, "
                "which has 16 and needs 2 of them in mode replace_topk; use at most 14 of this "
                "ordering"
            )
        ]
    )
    write_spec(project, text.replace("[0, 30]", "[0, 14]").replace("agentic]", "]"))
    project.runpytest_inprocess("benches").assert_outcomes(passed=2)


def test_a_pattern_without_specs_is_an_error(project):
    (project.path / "specs" / "small.yaml").unlink()
    result = project.runpytest_inprocess("benches")
    result.stdout.fnmatch_lines(["no spec file matches *specs/[*].yaml"])


def test_two_different_experiments_of_one_name_are_refused(project):
    write_spec(project, SPEC.replace("limit: 3", "limit: 2"), "other")
    result = project.runpytest_inprocess("benches")
    result.stderr.fnmatch_lines(["ERROR: small*: two different experiments have this id; *"])


def test_a_neutral_dose_that_is_not_neutral_fails_the_run(project):
    """The defect that must never be reported over: a mask of no points that masks some."""
    project.makeconftest(
        """
        import harness.resolve.router_mask as resolve

        original = resolve.mask_of

        def off_by_thirty(settings, ordering, shape):
            return original(settings.model_copy(update={"count": 30}), ordering, shape)

        resolve.mask_of = off_by_thirty
        """
    )
    result = project.runpytest_subprocess("benches")
    result.assert_outcomes(passed=2, failed=3)  # the gate is the third
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["neutral_equals_baseline: * of 3 completions equal *departure: *"])
    report = report_of(project)
    assert [check["holds"] for check in report["invariants"]] == [False, False]
    assert [gate["holds"] for gate in report["gates"]] == [False]


def test_a_scorer_that_breaks_fails_its_cases_alone(project):
    project.makeconftest(
        """
        from harness.tasks.micro_humaneval import MicroHumanEval

        original = MicroHumanEval.score

        def score(self, answers):
            if any(style == "agentic" for _, style, _ in answers):
                raise ValueError("no agents today")
            return original(self, answers)

        MicroHumanEval.score = score
        MicroHumanEval.judged = lambda self, sample, style, text: [style, text]
        """
    )
    result = project.runpytest_subprocess("benches")
    result.assert_outcomes(passed=2, failed=3)  # two cases, and the gate that needs them
    result.stdout.fnmatch_lines(["scoring: ValueError: no agents today"])
    statuses = {case["id"]: case["status"] for case in report_of(project)["cases"]}
    assert statuses["small[count=30-style=assisted]"] == "complete"
    assert statuses["small[count=30-style=agentic]"] == "failed"


def test_titrate_run_prints_the_lines_of_pytest_in_their_order(project, capsys, monkeypatch):
    """Of a run whose gate fails: headings, dots and the shape of ids are pytest's alone."""
    monkeypatch.setenv("COLUMNS", "200")
    write_spec(project, SPEC.replace("[0, 30]", "[30]"))
    assert main(["run", "specs/small.yaml", "--report", "out"]) == 1  # what it makes is stored
    capsys.readouterr()
    assert main(["run", "specs/small.yaml", "--report", "out"]) == 1
    own = capsys.readouterr().out.splitlines()
    result = project.runpytest_inprocess("specs", "--titrate-report=out", "-p", "no:warnings")
    theirs = [line for line in result.outlines if not line.startswith(("=", "_"))]
    begin = next(i for i, line in enumerate(theirs) if line.startswith("gate "))
    assert [line for line in theirs[begin:] if line] == [line for line in own[:-1] if line]
    ending = r"1 failed, 2 passed in \d+\.\d\ds"
    assert re.fullmatch(ending, own[-1])
    assert re.fullmatch(f"=+ {ending} =+", result.outlines[-1])


def test_a_failed_gate_is_a_failure_of_its_own(project):
    """In the summary, in JUnit's XML and in the status; without a neutral case it is undecided."""
    write_spec(project, SPEC.replace("[0, 30]", "[30]"))
    result = project.runpytest_inprocess("benches", "--junitxml=junit.xml")
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "gate neutral_equals_baseline of small failed: undecided: no neutral case was run*",
            "gates: 0 of 1 hold",
            "FAILED small::gate neutral_equals_baseline - *undecided: *",
        ]
    )
    assert not any("%]gate" in line or "[1??%]F" in line for line in result.outlines)
    suite = ET.parse(project.path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    (failure,) = suite.iter("failure")
    assert failure.get("message").startswith("undecided: no neutral case was run")
    (named,) = [case for case in suite if case.get("classname") == "small"]
    assert named.get("name") == "gate neutral_equals_baseline"
    project.runpytest_inprocess("benches", "--lf", "--collect-only").assert_outcomes()
    last_failed = project.path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    assert not last_failed.exists() or json.loads(last_failed.read_text()) == {}


@pytest.mark.parametrize(
    ("words", "said", "heading"),
    [
        (
            "small and 30",
            "gates: 0 of 1 judged; neutral_equals_baseline needs a neutral case (2 of 4 cases *",
            "count=30, 2 of 4 cases",
        ),
        ("small and assisted", "gates: 1 of 1 hold", "style=assisted, 2 of 4 cases"),
    ],
)
def test_a_selection_says_what_it_holds_and_which_gates_it_decides(project, words, said, heading):
    """The neutral case is in the axes but perhaps not selected: that is no failure of the claim."""
    result = project.runpytest_inprocess("benches", "-k", words)
    result.assert_outcomes(passed=2, deselected=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"small  zoo/moe, micro_humaneval, n = 3, {heading}", said])
    report = report_of(project)
    assert len(report["gates"]) + len(report["unjudged"]) == 1


def test_specs_that_the_chosen_model_cannot_run_are_skipped_by_name_unless_selected(project):
    write_spec(
        project, "name: plain\nmodel: zoo/moe\ntask: {name: micro_humaneval, limit: 1}\n", "plain"
    )
    model = "--titrate-model=zoo/base"
    both = project.runpytest_inprocess("benches", model, "--titrate-plan", "-k", "plain")
    assert both.ret == pytest.ExitCode.OK
    listed = project.runpytest_inprocess("benches", model, "-rs", "-p", "no:cacheprovider")
    listed.assert_outcomes(passed=1, skipped=4)
    reason = "small is left out: --titrate-model zoo/base: LlamaForCausalLM"
    assert reason in " ".join(listed.outlines).replace("\n", " ")
    for selected in (["benches", "-k", "small"], ["specs/small.yaml"]):
        refused = project.runpytest_inprocess(*selected, model)
        assert refused.ret in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED}
        told = [*refused.outlines, *refused.errlines]
        assert any("LlamaForCausalLM" in line and "has no routers" in line for line in told)
        assert not any("Traceback" in line for line in told)


def test_a_report_says_what_to_run_to_see_it_again(project):
    project.runpytest_inprocess("benches", "-k", "assisted")
    report = report_of(project)
    (case,) = [case for case in report["cases"] if case["id"] == "small[count=30-style=assisted]"]
    assert case["settings"]["intervention"]["points"] == {"random": 0}
    assert case["settings"]["sampling"]["max_new_tokens"] == 24
    assert len(case["intervention"]["points"]) == 30
    assert case["intervention"]["mode"] == "keep_topk"
    assert "fingerprint of zoo/moe" in report["run"]["determinism"]


def test_a_case_whose_every_request_is_refused_has_failed(project):
    write_spec(project, SPEC + "engine: {columns: 8}\n")
    result = project.runpytest_inprocess("benches")
    result.assert_outcomes(failed=5)  # four cases, and the gate that needs them
    result.stdout.fnmatch_lines(
        ["*every request was refused, first MicroHumanEval/0: prompt and *"]
    )
    assert {case["status"] for case in report_of(project)["cases"]} == {"failed"}


def test_an_interrupted_run_reports_what_is_there(project):
    project.path.joinpath("benches/bench_all.py").write_text(
        BENCH + "    if '30' in case.id:\n        raise KeyboardInterrupt\n"
    )
    result = project.runpytest_inprocess("benches", "-k", "assisted", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "small[count=0-style=assisted]" in [case["id"] for case in report_of(project)["cases"]]


def test_a_report_directory_that_is_a_file_is_one_line(project):
    (project.path / "out").write_text("")
    result = project.runpytest_inprocess("benches", "-k", "assisted", "--titrate-report=out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *out: cannot be written: *; choose another directory"])
    assert not any("loading" in line for line in result.errlines)


def test_the_plugin_is_imported_without_torch():
    code = (
        "import sys, harness, harness.plugin.hooks, harness.testing, harness.spec;"
        "sys.exit(bool({'torch', 'transformers', 'matplotlib'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# gates, saved runs and comparisons ----------------------------------------------------------------


def test_a_gate_of_the_command_line_fails_the_run_and_is_in_the_report(project):
    options = ["--titrate-gate", "pass@1 >= 0", "--titrate-gate", "pass@1 == 0.123 where count=30"]
    result = project.runpytest_inprocess("benches", "-k", "agentic", *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["gate pass@1 == 0.123 where count=30 of small failed: small*"])
    gates = report_of(project)["gates"]
    assert [(gate["gate"], gate["holds"]) for gate in gates] == [
        ("neutral_equals_baseline", True),
        ("pass@1 >= 0", True),
        ("pass@1 == 0.123 where count=30", False),
    ]


def test_a_run_is_saved_and_a_later_one_compared_with_it(project):
    result = project.runpytest_inprocess("benches", "--titrate-save", "before")
    result.stdout.fnmatch_lines(["saved: .titrate/saved/0001_before.json"])
    rule = "pass@1: worse, p<0.05"
    options = ["--titrate-compare", "before", "--titrate-set", "sampling.max_new_tokens=20"]
    result = project.runpytest_inprocess("benches", *options, "--titrate-compare-fail", rule)
    result.stdout.fnmatch_lines(
        ["0001_before -> this run", "differs: sampling.max_new_tokens: 24 -> 20 (6 cases)"]
    )
    # Three samples can never have p < 0.05: undecided is failed.
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*compare 0001_before: * failed: undecided: *3 samples cannot*"])
    result = project.runpytest_inprocess(
        "benches", "--titrate-compare", "1", "--titrate-compare-fail", "pass@1: worse"
    )
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--titrate-gate", "pass@1 >= x"],
            "*--titrate-gate 'pass@1 >= x' is not a gate; 'x' is not*",
        ),
        (["--titrate-gate", "pass@7 >= 0"], "*has no metric 'pass@7'; did you mean pass@1?*"),
        (["--titrate-compare", "nothing"], "*nothing: no saved run of this name*"),
        (["--titrate-compare-fail", "pass@1: worse"], "*add --titrate-compare NAME*"),
        (["--titrate-save", "a b"], "*'a b': no name of a saved run*"),
        (
            ["--titrate-gate", "no worse than main by more than 0.1 (paired, p < 0.05)"],
            "*of small: main: no saved run of this name*",
        ),
    ],
)
def test_what_could_not_be_judged_is_refused_before_the_run(project, options, says):
    result = project.runpytest_inprocess("benches", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {says}"])
    assert not (project.path / "reports").exists()


def test_a_gate_that_no_case_can_decide_fails_collection_at_its_line(project):
    write_spec(project, SPEC.replace("[neutral_equals_baseline]", "[pass@1 > 0 where count=7]"))
    result = project.runpytest_inprocess("benches")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*small.yaml:13 gates*: intervention.count is never '7' in small; its values are 0, 30*"]
    )


# Nothing is lost ----------------------------------------------------------------------------------


def test_a_plan_is_printed_and_nothing_is_run(project):
    result = project.runpytest_inprocess("benches", "--titrate-plan", "-k", "agentic")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["zoo/moe * 2 * 9 * 0 * 9 *", "1 model load; nothing was run."])
    assert not any("loading" in line for line in result.errlines)
    assert not any("passed" in line for line in result.outlines)
    assert not (project.path / ".titrate").exists()
    assert not (project.path / "reports").exists()


def test_the_same_command_again_makes_nothing_again(project):
    project.runpytest_inprocess("benches", "--titrate-report=one")
    result = project.runpytest_inprocess("benches", "--titrate-report=two")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["0 model loads; 18 requests (18 stored), 0 tokens in *"])
    one, two = (
        json.loads((project.path / name / "report.json").read_text()) for name in ("one", "two")
    )
    for case in [*one["cases"], *two["cases"]]:
        del case["seconds"]
    assert one["cases"] == two["cases"]
    assert one["run"]["determinism"] == two["run"]["determinism"]
    plan = project.runpytest_inprocess("benches", "--titrate-plan")
    plan.stdout.fnmatch_lines(["0 model loads; nothing was run."])


@pytest.mark.parametrize("option", ["--titrate-store", "--titrate-report"])
def test_a_folder_with_other_things_is_left_alone(project, option):
    result = project.runpytest_inprocess("benches", f"{option}=benches")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    kind = option.removeprefix("--titrate-")
    name = {"store": "completion store", "report": "report"}[kind]
    result.stderr.fnmatch_lines([f"ERROR: *benches: is not a {name}: it holds *; *"])
    held = {path.name for path in (project.path / "benches").iterdir()}
    assert held - {"__pycache__"} == {"bench_all.py"}
    assert not (project.path / ".titrate").exists()


@pytest.fixture
def limited(monkeypatch):
    """An engine that does not run every kind: vLLM, as it would be without policies."""
    able = replace(engine_named("vllm"), mechanisms=frozenset({"residual"}))
    monkeypatch.setitem(registry.engines._loaded, "vllm", able)


@pytest.mark.usefixtures("limited")
def test_a_spec_that_the_chosen_engine_does_not_run_is_skipped_by_name(project):
    """One engine is chosen for all specs that are there; the others must still run."""
    write_spec(
        project,
        "name: small\nmodel: zoo/moe\ntask: {name: micro_humaneval, limit: 1}\n"
        "intervention: {kind: dac, properties: [{pairs: styles}], strongest: 1, top_p: 0.5}\n",
    )
    result = project.runpytest_inprocess("benches", "--titrate-engine=vllm", "-rs")
    result.assert_outcomes(skipped=2)
    reason = "small is left out: vllm does not run interventions of kind dac; use transformers"
    assert reason in " ".join(result.outlines).replace("\n", " ")


@pytest.mark.usefixtures("limited")
def test_several_engines_are_an_axis_of_every_spec(project):
    """Collected without an engine: each says for itself what it does not run, or is not here."""
    write_spec(
        project,
        "name: small\nmodel: zoo/moe\ntask: {name: micro_humaneval, limit: 1}\n"
        "intervention: {kind: dac, properties: [{pairs: styles}], strongest: 1, top_p: 0.5}\n",
    )
    engines = "--titrate-engine=transformers,vllm"
    listed = project.runpytest_inprocess("benches", engines, "--collect-only", "-q")
    listed.stdout.fnmatch_lines(["*engine=transformers-*", "*engine=vllm-*"])
    result = project.runpytest_inprocess("benches", "--titrate-engine=transformers,vlm")
    wrong = "*--titrate-engine transformers,vlm: 'vlm' is not accepted; *; did you mean vllm[?]"
    result.stdout.fnmatch_lines(wrong)


def test_a_search_without_its_extra_is_skipped_by_name(project, monkeypatch):
    monkeypatch.setattr("harness.search.find_spec", lambda _: None)
    section = (
        "search: {space: {intervention.count: [0, 8]}, splits: {train: 8, validation: 8, test: 8}}"
    )
    write_spec(project, f"{SPEC.partition('axes:')[0]}{section}\n", "found")
    project.path.joinpath("benches", "bench_found.py").write_text(
        'from harness.testing import searches\n\n@searches("found.yaml")\n'
        "def bench_found(searched):\n    pass\n"
    )
    result = project.runpytest_inprocess("benches/bench_found.py", "-rs")
    result.assert_outcomes(skipped=1)
    assert "pip install 'pytest-titrate[search]'" in result.stdout.str()
