"""`titrate ask`: one question, and who wrote which part of the answer."""

from __future__ import annotations

import json

import pytest

from harness.cli.ask import _request
from harness.cli.main import main
from harness.engines import open_engine
from harness.engines.company import Company
from harness.runs.checks import planned
from harness.spec import expand, load
from harness.tasks.conversations import render

SPEC = """\
name: asks
model: zoo/base
task: {name: micro_gsm8k, limit: 2}
intervention:
  kind: oracle
  model: zoo/oracle
  length: 4
  step: 4
  trigger: {kind: every_n, n: 2}
sampling: {max_new_tokens: 24}
"""


def test_the_oracles_words_are_told_from_the_models(tmp_path, capsys):
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    asked = ["ask", str(tmp_path / "spec.yaml"), "--prompt", "Ben has 11 cups. Ben loses 2."]
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert out.startswith("\u00ab")
    assert "of them the oracle's in" in out
    assert out.endswith("; asks\n")


def test_a_spec_that_asks_nobody_is_refused(tmp_path, capsys):
    (tmp_path / "spec.yaml").write_text(SPEC.replace("length: 4", "length: 0"), "utf-8")
    assert main(["ask", str(tmp_path / "spec.yaml"), "--prompt", "x"]) == 2
    assert "asks no other model" in capsys.readouterr().err


OWN = """\
name: asks
model: zoo/base
task: {path: records.jsonl, answer: exact, shots: {n: 1}}
prompt: {style: STYLE, system: Be brief., template: "Question: {{ question }}"}
intervention: {kind: oracle, model: zoo/oracle, length: 4, step: 4, trigger: {kind: every_n, n: 2}}
sampling: {max_new_tokens: 8}
"""
RECORDS = [{"question": f"What is {n} and 1?", "answer": str(n + 1)} for n in (1, 2)]


@pytest.fixture
def records(tmp_path):
    lines = "".join(f"{json.dumps(each)}\n" for each in RECORDS)
    (tmp_path / "records.jsonl").write_text(lines, "utf-8")
    return tmp_path


@pytest.mark.parametrize("style", ["assisted", "completion"])
def test_it_asks_as_a_run_would(records, style):
    (records / "spec.yaml").write_text(OWN.replace("STYLE", style), "utf-8")
    (case,) = expand(*load(records / "spec.yaml"))
    ready = planned(case)
    base = open_engine("zoo/base", case.experiment.engine)
    asked = _request(Company(base, {}), case.experiment, RECORDS[0]["question"])
    run = ready.task.prompt(ready.task.samples[0], style)
    # The example is drawn by the sample's id, of the only other record.
    assert asked.prompt == tuple(render(base.tokenizer, run))
    assert asked.stop.strings == ready.task.stop_strings(style)
    assert bool(asked.stop.strings) == (style == "completion")


def test_a_template_of_more_than_one_field_is_refused_in_a_line(records, capsys):
    more = OWN.replace("STYLE", "assisted").replace("{{ question }}", "{{ question }} {{ answer }}")
    (records / "spec.yaml").write_text(more, "utf-8")
    assert main(["ask", str(records / "spec.yaml"), "--prompt", "x"]) == 2
    told = "spec.yaml:4 prompt.template: reads answer, question of a record, and --prompt is one; "
    assert told in capsys.readouterr().err
