"""What a verdict takes: the tests' own power, and a table that fits."""

from __future__ import annotations

import json

import pytest

import harness
from harness.cli.main import main
from harness.statistics.power import rate_power, samples_needed

SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 20}
intervention: {kind: router_mask, points: {random: 0}, count: 0}
sampling: {max_new_tokens: 10}
axes: {intervention.count: [0, 1]}
dose: intervention.count
"""
STOP = "stop: {decide: [pass@1 differs from baseline], alpha: 0.001}\n"


@pytest.mark.parametrize(("difference", "discordance"), [(0.1, 0.1), (0.1, 0.3), (0.4, 0.5)])
def test_so_many_samples_have_the_power_and_one_fewer_has_not(difference, discordance):
    n = samples_needed(difference, discordance)
    assert rate_power(n, discordance, difference) >= 0.8
    assert rate_power(n - 1, discordance, difference) < 0.8


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """What the verb prints of the spec with more lines, its options behind."""
    monkeypatch.chdir(tmp_path)

    def printed(more, *options, spec=SPEC):
        (tmp_path / "small.yaml").write_text(spec + more)
        assert main(["plan", "small.yaml", *options]) == 0
        return capsys.readouterr().out

    return printed


def test_a_clear_effect_takes_fewer_and_stopping_fewer_still(plan):
    found = json.loads(plan("", "--effect", "0.4", "--json"))
    assert [each["changes"] for each in found["verdicts"]] == [0.4, 0.8]
    clear, vague = found["verdicts"]
    assert clear["fixed"] < vague["fixed"]
    assert clear["mean"] < clear["most"] < vague["most"]
    stricter = json.loads(plan(STOP, "--effect", "0.4", "--json"))["verdicts"]
    assert stricter[0]["fixed"] > clear["fixed"]


def test_tokens_are_those_of_all_cases_of_a_verdict(plan):
    found = json.loads(plan("gates: [neutral_equals_baseline]\n", "--effect", "0.4", "--json"))
    *_, differs, identity = found["verdicts"]
    assert (differs["doses"], differs["baselines"]) == (2, 1)
    assert differs["fixed_tokens"] == 10 * 3 * differs["fixed"]
    assert differs["stopped_tokens"] == 10 * (2 * differs["mean"] + differs["most"])
    assert (identity["fixed"], identity["fixed_tokens"]) == (None, None)
    assert (found["samples"], found["pilot"], found["power"]) == (20, None, 0.8)


def test_every_line_says_what_was_assumed_or_why_there_is_no_number(plan):
    gates = "gates: [neutral_equals_baseline, pass@1 >= 0.5 where baseline]\n"
    shown = " ".join(plan(gates, "--effect", "0.2").split())
    assert "pass@1 differs from baseline: if every dose differs by 0.2" in shown
    assert "neutral_equals_baseline: it is an identity and no estimate" in shown
    assert "pass@1 >= 0.5 where baseline: if the rate nearest to it is 0.7" in shown
    assert shown.count("pass@1 differs from baseline:") == 1


def test_what_an_earlier_run_has_measured_is_planned_by(plan, tmp_path):
    """A number that is no rate has no plan, until some of its samples were run."""
    size = "metrics: [{kind: length, name: size}]\n"
    strong = SPEC.replace("[0, 1]", "[0, 30]").replace("max_new_tokens: 10", "max_new_tokens: 40")
    before = plan(size, "--effect", "1", spec=strong)
    assert "size is no rate" in " ".join(before.split())
    harness.run(tmp_path / "small.yaml", limit=12, directory="pilot")
    after = json.loads(plan(size + STOP, "--effect", "1", "--json", spec=strong))
    differs, stopping = after["verdicts"][0], after["verdicts"][-1]
    assert differs["verdict"] == "size differs from baseline"
    assert differs["fixed"] > 1
    assert after["pilot"] in differs["assumed"]
    assert stopping["verdict"] == "pass@1 differs from baseline"
    other = json.loads(plan(size.replace("size", "long"), "--effect", "1", "--json", spec=strong))
    assert other["pilot"] is None, "a run with other metrics is no pilot"


def test_the_verb_prints_a_table_and_refuses_what_is_no_effect(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    assert main(["plan", "small.yaml", "--effect", "0.2"]) == 0
    shown = capsys.readouterr().out
    assert "small: samples with which a verdict is reached with a power of 80 %" in shown
    assert "!: there are 20 samples" in shown
    for wrong in (["--effect", "2"], ["--effect", "0.2", "--changes", "0.1"]):
        assert main(["plan", "small.yaml", *wrong]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_level_is_that_at_which_the_run_would_stop(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC + STOP)
    assert main(["plan", "small.yaml", "--effect", "0.2", "--changes", "0.2"]) == 0
    shown = capsys.readouterr().out
    assert "at 0.001 corrected" in " ".join(shown.split())
    # Two doses, the neutral one among them: Holm's method is at its strictest at half of that.
    assert f"{samples_needed(0.2, 0.2, 0.0005)} !" in shown
