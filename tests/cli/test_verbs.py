"""What holds of every verb: its examples are commands that it takes, and its JSON is JSON."""

import json
import shlex
from contextlib import suppress

import pytest

from harness.cli.examples import EXAMPLES
from harness.cli.main import VERBS, main, parser

SPEC = """
name: small
model: zoo/base
task: {name: micro_gsm8k, limit: 2}
sampling: {max_new_tokens: 4}
axes: {seed: [0]}
"""


def test_every_verb_has_examples():
    assert list(EXAMPLES) == list(VERBS)


@pytest.mark.parametrize("example", [each for found in EXAMPLES.values() for each in found])
def test_an_example_is_a_command_that_its_verb_takes(example, capsys):
    program, *told = shlex.split(example.partition(" > ")[0])
    assert program == "titrate"
    assert parser(told).parse_args(told).run


@pytest.mark.parametrize("verb", VERBS)
def test_its_help_ends_with_them(verb, capsys):
    with suppress(SystemExit):
        main([verb, "--help"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[-len(EXAMPLES[verb]) :] == [f"  {each}" for each in EXAMPLES[verb]]


def test_json_is_for_other_programs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    assert main(["run", "small.yaml", "--report", "out", "--json"]) == 0
    ran = capsys.readouterr()
    report = json.loads(ran.out)
    assert [case["id"] for case in report["cases"]] == ["small[seed=0]"]
    assert "requests" in ran.err  # progress goes elsewhere
    assert main(["report", "out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert main(["compare", "out", "out", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["cases"]
    assert (row["before"], row["shared"], row["sizes"]) == (row["after"], 2, [2, 2])
    assert main(["list", "gates", "--json"]) == 0
    assert "neutral_equals_baseline" in json.loads(capsys.readouterr().out)


def test_a_quiet_run_says_where_its_report_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    assert main(["run", "small.yaml", "--report", "out", "--quiet"]) == 0
    ran = capsys.readouterr()
    assert (ran.out, ran.err) == ("report: out/index.html\n", "")
