"""The verbs of `titrate`, as a user types them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import harness
from harness.cli.main import VERBS, main
from harness.cli.zoo import listing
from harness.engines.vllm import availability
from harness.models import zoo
from harness.report.schema import json_schema
from harness.report.tables.terminal import table
from harness.spec import experiment_schema

EXAMPLE = Path(__file__).parents[2] / "reports" / "example"
SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
intervention: {kind: router_mask, points: {random: 0}, count: 0}
sampling: {max_new_tokens: 8}
axes:
  intervention.count: [0, 30]
dose: intervention.count
gates: [neutral_equals_baseline]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def spec(here):
    path = here / "small.yaml"
    path.write_text(SPEC)
    return path


def refused(capsys, *arguments: str) -> str:
    """The one line on stderr of arguments that end with status 2."""
    try:
        status = main(arguments)
    except SystemExit as exit_:
        status = exit_.code
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    return err


# run and report -----------------------------------------------------------------------------------


def test_run_ends_with_a_table_and_a_report(spec, capsys):
    assert main(["run", "small.yaml", "--report", "out"]) == 0
    out, err = capsys.readouterr()
    report = harness.load_report("out").report
    told, closing = out.split("invariants: 1 of 1 hold\ngates: 1 of 1 hold\n")
    assert told == f"{table(report)}\n"
    assert re.fullmatch(
        r"1 model load; 6 requests, [\d,]+ tokens in \d+\.\d s \([\d,]+ tokens/s\)\n"
        r"report: out/index\.html\n"
        r"2 passed in \d+\.\d\ds\n",
        closing,
    )
    assert report.run.cost is not None
    assert 0 < report.run.cost.engine_seconds < report.run.cost.wall_seconds
    assert report.run.command == "titrate run small.yaml --report out"
    assert [case.id for case in report.cases] == [
        "small[baseline]",
        "small[count=0]",
        "small[count=30]",
    ]
    assert "titrate: loading zoo/moe\n" in err
    assert "titrate: 2/2 cases, 6/6 requests, " in err


def test_run_sets_fields_and_takes_several_specs(spec, here, capsys):
    (here / "other.yaml").write_text(SPEC.replace("name: small", "name: other"))
    overrides = ["--set", "intervention.count=0", "--set", "task.limit=1"]
    assert main(["run", "small.yaml", "other.yaml", *overrides]) == 0
    (folder,) = (here / "reports").iterdir()
    assert f"report: {folder.relative_to(here)}/index.html\n" in capsys.readouterr().out
    report = harness.load_report(folder).report
    assert list(report.experiments) == ["small", "other"]
    assert {case.task.size for case in report.cases} == {1}


def test_run_names_an_option_as_it_was_typed(spec, capsys, monkeypatch):
    monkeypatch.setattr(availability, "installed_version", lambda: None)
    assert main(["run", "small.yaml", "--engine", "vllm"]) == 2
    error = "titrate: --engine vllm: vllm is not installed here; pip install "
    assert capsys.readouterr().err.startswith(error)


def test_run_fails_with_a_gate(spec, capsys):
    spec.write_text(SPEC.replace("[0, 30]", "[30]"))
    assert main(["run", "small.yaml"]) == 1
    assert "gate neutral_equals_baseline of small failed: " in capsys.readouterr().out


def test_run_says_which_cases_were_left_out(spec, here, capsys):
    needy = SPEC.replace("name: small", "name: needy") + "requires: {gpu_memory_gib: 9999}\n"
    (here / "needy.yaml").write_text(needy)
    assert main(["run", "small.yaml", "needy.yaml"]) == 0
    out = capsys.readouterr().out
    assert "skipped: needy[count=0] requires an accelerator with 9999 GiB; " in out


@pytest.mark.parametrize("how", [[], ["--quiet"], ["--json"]])
def test_a_run_that_skips_every_case_says_so_and_is_no_failure(spec, capsys, how):
    """As pytest has it: what this machine lacks is no fault of what was asked."""
    spec.write_text(f"{SPEC}requires: {{gpu_memory_gib: 9999}}\n")
    assert main(["run", "small.yaml", *how]) == 0
    told = capsys.readouterr()
    lines = (told.err if how == ["--json"] else told.out).splitlines()
    (line,) = [line for line in lines if line.startswith("nothing ran")]
    reason = "requires an accelerator with 9999 GiB; none is visible here"
    assert line == f"nothing ran: 2 cases were skipped ({reason})"


def test_report_prints_the_table_of_a_run(spec, capsys):
    main(["run", "small.yaml", "--report", "out"])
    capsys.readouterr()
    for place in ("out", "out/report.json"):
        assert main(["report", place]) == 0
        assert capsys.readouterr().out.strip() == table(harness.load_report("out").report).strip()


def test_report_writes_the_page_of_a_run_anew(spec, here, capsys):
    main(["run", "small.yaml", "--report", "out"])
    capsys.readouterr()
    page = here / "out" / "index.html"
    written = page.read_bytes()
    page.unlink()
    assert main(["report", "out", "--html"]) == 0
    assert capsys.readouterr().out == "page: out/index.html\n"
    assert page.read_bytes() == written
    (here / "out" / "samples.jsonl").unlink()
    assert "samples.jsonl: no such file" in refused(capsys, "report", "out", "--html")


def test_an_interruption_is_one_line(spec, capsys, monkeypatch):
    def interrupt(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.launch.local.run_cases", interrupt)
    assert main(["run", "small.yaml"]) == 130
    assert capsys.readouterr().err == "titrate: interrupted\n"


def test_run_selects_cases_as_pytest_does(spec, capsys):
    assert main(["run", "small.yaml", "-k", "30 or neither", "--report", "out"]) == 0
    out = capsys.readouterr().out
    assert "1 passed, 1 deselected in " in out
    report = harness.load_report("out").report
    assert [case.id for case in report.cases] == ["small[baseline]", "small[count=30]"]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("neither", "-k 'neither': selects none of 2 cases, such as small[count=0]"),
        ("30 or", "-k '30 or': at column 6: expected not OR left parenthesis OR identifier"),
    ],
)
def test_a_selection_of_nothing_is_one_line(spec, capsys, expression, told):
    assert refused(capsys, "run", "small.yaml", "-k", expression).startswith(f"titrate: {told}")


def test_the_version_is_the_distributions(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"titrate {version('pytest-titrate')}\n"


def test_every_verb_is_a_module_with_the_same_two_functions():
    for name in VERBS:
        module = import_module(f"harness.cli.{name.replace('-', '_')}")
        assert module.__doc__.startswith(f"`titrate {name}")
        assert callable(module.declare)


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["xyzzy"], "titrate: argument VERB: invalid choice: 'xyzzy' (choose from "),
        ([], "titrate: the following arguments are required: VERB"),
        (["run"], "titrate run: the following arguments are required: SPEC"),
        (["zoo"], "titrate zoo: the following arguments are required: VERB"),
        (["schema", "spec"], "titrate schema: argument which: invalid choice: 'spec'"),
        (["run", "small.yaml", "--seed", "1"], "titrate run: unrecognized arguments: --seed 1"),
        (
            ["run", "x.yaml", "--limt", "3"],
            "titrate run: unrecognized arguments: --limt 3; did you ",
        ),
    ],
    ids=["verb", "nothing", "no spec", "no zoo verb", "schema", "option", "misspelt option"],
)
def test_wrong_arguments_are_one_line(capsys, arguments, message):
    assert refused(capsys, *arguments).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("limit: 2", "limit: 999", "small.yaml:3 task.limit: 999 samples asked for, but "),
        ("limit: 2", "limits: 2", "small.yaml:3 task.limits: "),
        ("zoo/moe", "zoo/none", "small.yaml:2 model: zoo/none is not in the zoo; use one of "),
        ("[0, 30]", "[0, 65]", "small.yaml:7 intervention.count: 65 points to mask, but "),
    ],
)
def test_a_bad_spec_is_one_line(spec, here, capsys, old, new, message):
    spec.write_text(SPEC.replace(old, new))
    assert refused(capsys, "run", "small.yaml").startswith(f"titrate: {message}")
    assert not (here / "reports").exists()


def test_what_is_not_there_is_one_line(here, capsys):
    assert "none.yaml" in refused(capsys, "run", "none.yaml")
    Path("specs/deep").mkdir(parents=True)
    Path("specs/deep/sweep.yaml").touch()
    told = refused(capsys, "run", "sweep")
    assert told == "titrate: sweep: no such file; did you mean specs/deep/sweep.yaml?\n"
    assert refused(capsys, "report", "nowhere").startswith("titrate: nowhere: no such file; ")


def test_a_bad_override_is_one_line(spec, capsys):
    assert "--set tusk.limit=1" in refused(capsys, "run", "small.yaml", "--set", "tusk.limit=1")


# schema -------------------------------------------------------------------------------------------


def test_schemas_are_printed_as_they_are_published(capsys):
    assert main(["schema", "experiment"]) == 0
    assert json.loads(capsys.readouterr().out) == experiment_schema()
    assert main(["schema", "report"]) == 0
    assert capsys.readouterr().out == json_schema()


def test_the_installed_command_is_this_one():
    command = Path(sys.executable).with_name("titrate")
    done = subprocess.run([command, "schema", "experiment"], capture_output=True, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["title"] == "Experiment"


# zoo ----------------------------------------------------------------------------------------------


def test_zoo_list_shows_sizes_accuracies_and_how_they_were_measured(capsys):
    assert main(["zoo", "list"]) == 0
    out = capsys.readouterr().out
    words = " ".join(out.split())
    for name in zoo.names():
        card = zoo.card(name)
        assert f"zoo/{name} {card['parameters']:,} {card['bytes'] / 1e6:.1f} " in words
        assert f"zoo/{name}: {card['purpose']}" in words
        for task, accuracy in card["accuracy"].items():
            styles = ("assisted", "agentic", "completion")
            shown = (f"{accuracy[each]:.1%}" if each in accuracy else "-" for each in styles)
            assert f"{task} {' '.join(shown)}" in words
        assert all(text in words for text in card["measured"].values())
    assert all(line == line.rstrip() and len(line) <= 80 for line in out.splitlines())


def test_members_measured_alike_are_described_together():
    card = {
        "purpose": "nothing",
        "parameters": 12345,
        "bytes": 2_000_000,
        "accuracy": {"t": {"assisted": 0.5}},
        "measured": {"problems": "all", "date": "2026-01-01"},
    }
    text = listing([{**card, "name": "a"}, {**card, "name": "b"}])
    assert "Measured (zoo/a, zoo/b): all; 2026-01-01.\n" in text
    assert text.count("50.0%") == 2
    assert text.count("12,345") == 2


# merge --------------------------------------------------------------------------------------------


def test_shards_run_and_merged_by_hand(spec, capsys):
    for index in (1, 2):
        shard = ("--shard", f"{index}/2", "--report", f"part{index}")
        assert main(["run", str(spec), *shard]) == 0
    assert main(["run", str(spec), "--report", "whole"]) == 0
    capsys.readouterr()
    assert main(["merge", "part1", "part2", "-o", "joined"]) == 0
    out, _ = capsys.readouterr()
    assert out.endswith("report: joined/index.html\n")
    joined, whole = (harness.load_report(name).report for name in ("joined", "whole"))
    timeless = [
        [case.model_dump(exclude={"seconds"}) for case in report.cases]
        for report in (joined, whole)
    ]
    assert timeless[0] == timeless[1]
    assert (joined.invariants, joined.gates) == (whole.invariants, whole.gates)
    costs = [harness.load_report(f"part{index}").report.run.cost for index in (1, 2)]
    assert joined.run.cost.requests == sum(cost.requests for cost in costs)


def test_a_gate_may_name_cases_of_another_shard(spec, capsys):
    """No shard judges it, whether it has these cases or not; the joined run does."""
    gate = "pass@1 >= 0 where count=30"
    for index in (1, 2):
        shard = ("--shard", f"{index}/2", "--report", f"part{index}")
        assert main(["run", str(spec), "--gate", gate, *shard]) == 0
        assert (
            "1 gate of the command line left undecided: titrate merge " in capsys.readouterr().out
        )
        judged = harness.load_report(f"part{index}").report.gates
        assert gate not in [each.gate for each in judged]
    assert main(["merge", "part1", "part2", "-o", "joined"]) == 0
    assert gate in [each.gate for each in harness.load_report("joined").report.gates]
    capsys.readouterr()
    error = refused(
        capsys, "run", str(spec), "--gate", "pass@1 > 0 where count=7", "--shard", "1/2"
    )
    assert "intervention.count is never '7'" in error


def test_a_merge_that_cannot_be_is_one_line(spec, capsys):
    main(["run", str(spec), "--report", "whole"])
    capsys.readouterr()
    assert "whole: is the report of a whole run; merge takes those of" in refused(
        capsys, "merge", "whole", "-o", "joined"
    )
    assert "nowhere: no such file" in refused(capsys, "merge", "nowhere", "-o", "joined")
    assert "the following arguments are required: -o" in refused(capsys, "merge", "whole")
    assert "--shard 3/2: there is no such shard; use 1/2 to 2/2" in refused(
        capsys, "run", str(spec), "--shard", "3/2"
    )


# compare ------------------------------------------------------------------------------------------


def test_compare_prints_the_paired_table_of_two_runs(spec, capsys):
    assert main(["run", "small.yaml", "--report", "out", "--save", "before"]) == 0
    assert "saved: " in capsys.readouterr().out
    assert main(["compare", "before", "out"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("0001_before -> out\nsmall  micro_humaneval, n = 2\n")
    assert "count=30" in out
    assert main(["compare", "before", "out", "--fail", "parsed: different"]) == 0
    capsys.readouterr()
    assert main(["compare", "before", "out", "--fail", "pass@1: worse, p<0.05"]) == 1
    assert "failed: undecided: " in capsys.readouterr().out


def test_runs_over_other_samples_are_compared_over_those_that_both_have(spec, here, capsys):
    main(["run", str(spec), "--report", "three", "--set", "task.limit=3"])
    main(["run", str(spec), "--report", "two", "--set", "task.limit=2"])
    (here / "ids.json").write_text('["MicroHumanEval/7"]')
    chosen = ["--set", "task.limit=null", "--set", f"task.only={here / 'ids.json'}"]
    main(["run", str(spec), "--report", "other", *chosen])
    capsys.readouterr()
    assert main(["compare", "three", "two"]) == 0
    out = capsys.readouterr().out
    said = " ".join(out.split())
    assert "n = 2 shared samples, of 3 in the first run and 2 in the second" in said
    rule = ["--fail", "pass@1: worse"]
    assert main(["compare", "three", "two", *rule]) == 1
    assert "undecided: small[baseline]: 2 samples are shared, of 3" in capsys.readouterr().out
    assert main(["compare", "three", "other"]) == 1
    assert capsys.readouterr().out.count("not compared: small[") == 3


def test_a_reader_that_has_seen_enough_is_no_error(spec):
    main(["run", str(spec), "--report", "out"])
    titrate = [sys.executable, "-c", "from harness.cli.main import main; main(['report', 'out'])"]
    with subprocess.Popen(titrate, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_what_cannot_be_compared_is_one_line(spec, capsys):
    assert main(["run", "small.yaml", "--report", "out"]) == 0
    capsys.readouterr()
    assert refused(capsys, "compare", "none", "out").startswith("titrate: none: no saved run")
    assert "did you mean pass@1?" in refused(capsys, "compare", "out", "out", "--metric", "pass@2")
    assert "no such case in out" in refused(capsys, "compare", "out", "out", "--case", "x")
    assert "did you mean worse?" in refused(
        capsys, "compare", "out", "out", "--fail", "pass@1: wors"
    )


def test_run_names_its_own_options(spec, capsys):
    told = refused(capsys, "run", str(spec), "--set", "task.limt=1")
    assert "titrate: --set task.limt=1: no such field; did you mean" in told
    assert "--gate 'pass@9 > 0'" in refused(capsys, "run", str(spec), "--gate", "pass@9 > 0")


def test_run_limits_samples_and_counts_what_holds(spec, capsys):
    assert main(["run", str(spec), "--limit", "1", "--model", "zoo/moe", "--report", "out"]) == 0
    out = capsys.readouterr().out
    assert "n = 1" in out
    assert "invariants: 1 of 1 hold" in out


def test_run_judges_gates_of_the_command_line(spec, capsys):
    assert main(["run", "small.yaml", "--report", "out", "--gate", "pass@1 == 0.123"]) == 1
    assert "gate pass@1 == 0.123 of small failed: " in capsys.readouterr().out


def test_export_writes_what_it_names(tmp_path, capsys):
    target = tmp_path / "out"
    assert main(["export", str(EXAMPLE), "--format", "csv", "-o", str(target)]) == 0
    assert capsys.readouterr().out.split() == [f"{target}/cases.csv", f"{target}/samples.csv"]
    assert sorted(path.name for path in target.iterdir()) == ["cases.csv", "samples.csv"]


def test_export_of_nothing_is_one_line(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--format", "latex", "-o", str(tmp_path / "x.tex")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("titrate: ")
    assert "report.json: no such file" in line
    assert not (tmp_path / "x.tex").exists()


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["mrege", "a", "b", "-o", "c"], "merge"),
        (["store", "lsit"], "list"),
        (["export", "x", "--format", "latx", "-o", "y"], "latex"),
    ],
)
def test_a_mistyped_word_is_told_with_the_one_that_was_meant(capsys, arguments, meant):
    assert f"did you mean {meant}?" in refused(capsys, *arguments)


def test_a_plan_refuses_a_gate_that_the_run_would_refuse(spec, capsys):
    spec.write_text(spec.read_text().replace("[neutral_equals_baseline]", '["pass@1 >= 9"]'))
    assert "small.yaml:9 gates[0]: 'pass@1 >= 9': pass@1 is a share" in refused(
        capsys, "run", str(spec), "--plan"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gate", "bogus"], "--gate 'bogus' is not a gate; accepted: "),
        (["--gate", "pass@1 >= 0.9 where count=77"], "count is never '77' in "),
        (["--compare", "nothing"], "nothing: no saved run of this name or number"),
        (["--compare-fail", "pass@1: worse"], "nothing to compare with; add --compare NAME"),
        (["--save", "a/b"], "'a/b': no name of a saved run"),
        (["--shard", "9/99"], "shard 9/99: there is work for 2 of 99"),
    ],
)
def test_a_plan_refuses_options_that_the_run_would_refuse(spec, capsys, arguments, message):
    planned = refused(capsys, "run", str(spec), "--plan", *arguments)
    assert message in planned
    assert refused(capsys, "run", str(spec), *arguments) == planned


def test_a_plan_of_a_shard_is_of_its_share(spec, capsys):
    def requests(*arguments):
        assert main(["run", str(spec), "--plan", *arguments]) == 0
        (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("zoo/")]
        return int(row.split()[1])

    assert requests("--shard", "1/2") + requests("--shard", "2/2") == requests()


def test_a_mistake_in_a_spec_is_told_before_torch_is_imported(spec):
    program = (
        "import sys; from harness.cli.main import main\n"
        f"assert main(['run', {str(spec)!r}, '--set', 'sed=1']) == 2\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        0,
        "titrate: --set sed=1: no such field; did you mean seed?\n",
    )
