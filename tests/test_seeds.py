"""docs/seeds.md: its commands run, its fields are in the schema, its files are there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli.main import main
from harness.spec.schema import experiment_schema

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "seeds.md").read_text("utf-8")
ROWS = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
SAID = [said for *_, here in ROWS for said in re.findall(r"`([^`]+)`", here)]
COMMANDS = [said for said in dict.fromkeys(SAID) if re.match(r"titrate \w+ [^-]|pytest \w", said)]
SECTIONS = [said for said in dict.fromkeys(SAID) if re.match(r"[a-z_]+: ", said)]
FILES = [said for said in dict.fromkeys(SAID) if said.startswith("specs/")]

GUIDED = "specs/guided/guided_share.yaml"
DIFFING = "specs/diffing/cake.yaml"
DECODE = {
    "key": "humaneval_0",
    "variant": "agentic",
    "prompt": "def one():\n",
    "generated": "```python\n    return 1\n```",
    "aligned_ok": True,
}


#: Rows without a command or a field that is run here, by their first words: the test that runs
#: them, by its first words.
TESTED = {
    "fallback traces": "cli/test_pairs.py: the_files_of_a_study_become",
    "the dumps": "runs/test_forward.py: the_files_of_a_case_are_complete",
    "`analyze_expert_core.py`": "runs/test_forward.py: the_files_of_a_case_are_complete",
    "summary JSON": "report/tables/test_study_table.py: files_are_the_same_table_twice",
    "`plot_keep_topk_curves.py`": "report/test_pictures.py: plots_of_the_example",
    "`per_step_calibration": "measure/test_calibration.py: files_and_page_tell_the_same",
    "`gsm8k_eval_passk.py`": "report/draws/test_curves.py: votes_and_any_right",
    "`figure0.py`": "report/draws/test_sources.py: draws_are_written_as_tables_and_plots",
    "BBH": "spec/test_schema.py: every_spec_that_ships_is_valid",
    "`optuna_minimal_example.py`": "search/test_run.py: everything_is_written",
    "`best_configuration": "search/test_run.py: everything_is_written",
    "gpt-neo": "engines/transformers/test_trial.py: what_rows_cannot_share_is_refused",
    "sequential": "launch/cluster/test_by_hand.py: tasks_by_hand_make_the_report_of_one_run",
}


def test_every_row_says_what_does_it_here_and_is_run():
    assert len(ROWS) > 80
    assert [row for row in ROWS if len(row) != 2 or not row[1].strip()] == []
    assert len(COMMANDS) > 15
    assert len(SECTIONS) > 25
    left = [
        theirs.strip()
        for theirs, here in ROWS
        if theirs.strip() not in {"theirs", "---"}
        and not {*COMMANDS, *SECTIONS}.intersection(re.findall(r"`([^`]+)`", here))
    ]
    tested = [next((row for row in left if row.startswith(begin)), None) for begin in TESTED]
    assert sorted(map(str, tested)) == sorted(left)


def _fields(section: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in section.items():
        path = f"{above}.{name}" if above else name
        if above == "axes":
            yield name
        elif isinstance(value, Mapping) and value:
            yield from _fields(value, path)
        else:
            yield path


def _known(path: str) -> bool:
    """Whether any form of a spec has the field: sections may be one of several kinds."""
    schema = experiment_schema()
    here = [schema]
    for name in path.split("."):
        here = [
            each["properties"][name]
            for form in here
            for each in _forms(form, schema["$defs"])
            if name in each.get("properties", {})
        ]
    return bool(here)


def _forms(form: Mapping[str, Any], sections: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in form:
        yield from _forms(sections[form["$ref"].rpartition("/")[2]], sections)
        return
    yield form
    for each in (*form.get("anyOf", ()), *form.get("oneOf", ())):
        yield from _forms(each, sections)
    if isinstance(form.get("items"), Mapping):
        yield from _forms(form["items"], sections)


@pytest.mark.parametrize("section", SECTIONS)
def test_fields_are_in_the_schema(section):
    read = yaml.safe_load(section)
    assert [path for path in _fields(read) if not _known(path)] == []


@pytest.mark.parametrize("file", FILES)
def test_files_are_there(file):
    assert (ROOT / file).exists()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The specs and benches, and what the study's own files would be."""
    folder = tmp_path_factory.mktemp("seeds")
    for name in ("benches", "specs", "conftest.py", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "reports" / "example", folder / "reports" / "example")
    (folder / "mask.txt").write_text("{(0, 1), (1, 2)}")
    (folder / "decode").mkdir()
    (folder / "decode" / "humaneval_0_agentic.json").write_text(json.dumps(DECODE))
    return folder


@pytest.fixture(scope="module")
def reports(project):
    """Reports of the families whose exports are of them alone."""
    made = {}
    for name, spec in (("guided", GUIDED), ("diffing", DIFFING)):
        made[name] = folder = project / "reports" / name
        command = [spec, "--limit", "2", "--report", str(folder)]
        executable = Path(sys.executable).with_name("titrate")
        subprocess.run([executable, "run", *command], cwd=project, check=True)
    export = [executable, "export", str(made["guided"]), "--format", "guided", "-o", "asked"]
    subprocess.run(export, cwd=project, check=True)
    shutil.copy(next((project / "asked").rglob("*.jsonl")), project / "asked.jsonl")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_work(command, project, reports, monkeypatch, tmp_path):
    monkeypatch.chdir(project)
    said = re.search(r"--format (\w+)", command)
    report = reports.get(said[1] if said else "", project / "reports" / "example")
    command = command.replace("REPORT", str(report)).replace("DIR", str(tmp_path / "drawn"))
    program, *told = shlex.split(command.replace("-o out", f"-o {tmp_path / 'out'}"))
    if program == "pytest":
        executable = Path(sys.executable).with_name(program)
        assert subprocess.run([executable, *told], check=False).returncode == 0
    else:
        assert main(told) == 0


# Every field runs ---------------------------------------------------------------------------------

ZOO = {"model": "zoo/base", "task": {"name": "micro_gsm8k", "limit": 1}}
SHORT = {"temperature": 1, "max_new_tokens": 4}
CODE = {"model": "zoo/moe", "task": {"name": "micro_humaneval", "limit": 1}}
MASK = {"kind": "router_mask", "points": {"random": 0}, "count": 1}
STEERED = {"kind": "steering", "vector": {"pairs": "styles"}, "layer": 1, "alpha": 1}
ASKED = {"kind": "oracle", "model": "zoo/oracle", "budget": 1, "trigger": {"kind": "random"}}
DIFFED = {
    "model": "zoo/settled",
    "task": {"path": str(ROOT / "specs" / "data" / "settled_documents.jsonl"), "limit": 2},
    "prompt": {"style": "completion", "template": ""},
    "measure": "diff",
    "metric": "weighted_relevance",
    "diff": {"organism": "cake", "samples": 2, "positions": 8, "depth": 2, "candidates": 4},
    "intervention": {"kind": "adapter", "organism": "cake"},
}
#: By the first field that a section names, what it is added to.
ADDED_TO = {
    "forward": {**CODE, "measure": "forward"},
    "intervention.points": {**CODE, "intervention": MASK},
    "intervention.mode": {**CODE, "intervention": MASK},
    "axes.intervention.count": {**CODE, "intervention": MASK},
    "axes.seed": DIFFED,
    "axes": {**CODE, "intervention": STEERED},
    "intervention.vector": {**CODE, "intervention": STEERED},
    "intervention.positions": {**CODE, "intervention": STEERED},
    "intervention.schedule": {**CODE, "intervention": STEERED},
    "intervention": {**ZOO, "intervention": ASKED},
    "diff": DIFFED,
}
#: What no machine without a network can run, or what is run with more around it: the test of it.
ELSEWHERE = {
    "task: {lm_eval: gsm8k}": "tasks/lm_eval/test_equality.py: our_answers_through_lm_eval",
    "search": "search/test_run.py: the_best_is_the_best_of_the_trials",
    "model": "engines/transformers/test_trial.py: a_batch_of_unequal_rows",
    "engine: {name": "engines/served/test_engine.py: ids_go_there_and_come_back",
    "engine: {api_key_env": "engines/served/test_engine.py: a_key_that_is_missing_or_refused",
    "task: {name: math}": "tasks/test_math.py: three_forms_of_a_record_are_one",
    "diff: {judges": "runs/test_diffing.py: a_judge_that_answers_nonsense_is_told",
    "diff: {agent": "runs/test_diffing.py: modes_leave_agents_out",
}


def _spec(section: str) -> dict[str, Any]:
    """The smallest spec on the zoo that has the section."""
    said = yaml.safe_load(section)
    ((first, fields),) = said.items()
    inner = next(iter(fields)) if isinstance(fields, dict) else ""
    base = ADDED_TO.get(f"{first}.{inner}") or ADDED_TO.get(first) or ZOO
    spec = {"sampling": SHORT, **base} if base.get("measure") is None else dict(base)
    if first == "sampling":
        spec[first] = {**fields, "max_new_tokens": 4}
    else:
        spec[first] = {**spec.get(first, {}), **fields} if isinstance(fields, dict) else fields
    if first == "task" and "path" in fields:
        spec["task"] = fields
        spec["metrics"] = ["median_tokens"]
    return spec


@pytest.mark.parametrize("place", sorted({*TESTED.values(), *ELSEWHERE.values()}))
def test_what_is_run_elsewhere_has_a_test_there(place):
    file, _, name = place.partition(": ")
    assert f"\ndef test_{name}" in (ROOT / "tests" / file).read_text("utf-8")


def test_no_section_that_is_run_elsewhere_is_gone_from_the_page():
    assert [each for each in ELSEWHERE if not any(s.startswith(each) for s in SECTIONS)] == []


@pytest.mark.slow
def test_every_other_section_runs_on_the_zoo(tmp_path, monkeypatch):
    """All of them in one run, so that a model is loaded once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.json").write_text('[{"layer": 0, "router": 1}]')
    (tmp_path / "details.jsonl").write_text('{"problem": "What is 1 + 1?", "answer": "2"}\n')
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Is it?"}\n')
    ran = [each for each in SECTIONS if not each.startswith(tuple(ELSEWHERE))]
    assert len(ran) > 30
    for number, section in enumerate(ran):
        spec = {"name": f"row_{number}", **_spec(section)}
        (tmp_path / f"row_{number:02}.yaml").write_text(yaml.safe_dump(spec))
    specs = sorted(map(str, tmp_path.glob("row_*.yaml")))
    assert main(["run", *specs, "--report", "out", "--quiet"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    complete = {each["experiment"] for each in report["cases"] if each["status"] == "complete"}
    assert complete == {f"row_{number}" for number in range(len(ran))}
