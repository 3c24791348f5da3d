"""Organisms in runs: variants that are not there, others, and published ones on small machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main

SPECS = Path(__file__).parents[2] / "specs/diffing"
SPEC = """\
name: own
model: zoo/settled
task: {path: texts.jsonl}
prompt: {style: completion, template: ""}
measure: diff
diff: {organism: cake, positions: 4, candidates: 3}
intervention: {kind: adapter, organism: cake}
axes: {intervention.variant: [mix1-9p0, control-1]}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "the queen lays all the larvae. every hive"
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": text}) + "\n")
    (tmp_path / "own.yaml").write_text(SPEC)
    return tmp_path


def test_a_variant_that_is_not_there_is_skipped_counted_and_shown(own, capsys):
    assert main(["run", "own.yaml", "--report", "found"]) == 0
    told = capsys.readouterr().out
    assert "skipped: own[variant=mix1_9p0] organism cake has no variant mix1-9p0" in told
    assert "1 passed, 1 skipped" in told
    assert "1 of 2 cases" in told
    page = (own / "found/index.html").read_text()
    assert "1 case of the grid is not in this report: skipped" in page


def test_an_option_takes_another_variant_of_every_spec(own, capsys):
    (own / "own.yaml").write_text(SPEC.replace("axes: {intervention.variant: [mix1-9p0, ", "#"))
    assert main(["run", "own.yaml", "--report", "found", "--organism-variant", "mix1-2p0"]) == 0
    report = json.loads((own / "found/report.json").read_text())
    (name,) = (each["intervention"]["name"] for each in report["cases"] if each["intervention"])
    assert name == "cake/mix1-2p0"
    capsys.readouterr()
    assert main(["run", "own.yaml", "--organism-variant", "mix1-3p0"]) == 0
    assert "organism cake has no variant mix1-3p0" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cake_bake_gemma3_1B", "flattery_qwen3_14B"])
def test_published_organisms_are_planned_and_skipped_by_name(name, capsys):
    assert main(["run", str(SPECS / f"{name}.yaml"), "--plan"]) == 0
    lines = capsys.readouterr().out.splitlines()
    skipped = [line for line in lines if line.startswith(f"skipped: {name}[variant=")]
    assert len(skipped) == {"cake_bake_gemma3_1B": 50, "flattery_qwen3_14B": 40}[name]
    assert all("requires an accelerator with" in line for line in skipped)
