"""What a verdict takes: the tests' own power, and a table that fits."""

from __future__ import annotations

import pytest

from harness.cli.main import main
from harness.runs.needed import needed, shares
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


@pytest.mark.parametrize(("difference", "discordance"), [(0.1, 0.1), (0.1, 0.3), (0.4, 0.5)])
def test_so_many_samples_have_the_power_and_one_fewer_has_not(difference, discordance):
    n = samples_needed(difference, discordance)
    assert rate_power(n, discordance, difference) >= 0.8
    assert rate_power(n - 1, discordance, difference) < 0.8


def test_a_clear_effect_takes_fewer_and_stopping_fewer_still():
    (clear, vague) = needed(0.3, [0.3, 0.6], 0.05)
    assert clear.fixed < vague.fixed
    assert clear.mean < clear.most < vague.most
    assert needed(0.3, [0.3], 0.005)[0].fixed > clear.fixed
    assert shares(0.4) == [0.4, 0.8]


def test_the_verb_prints_a_table_and_refuses_what_is_no_effect(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    assert main(["plan", "small.yaml", "--effect", "0.2"]) == 0
    shown = capsys.readouterr().out
    assert "a difference of 0.2 of pass@1 with a power of 80 %" in shown
    assert "!: there are 20 samples" in shown
    for wrong in (["--effect", "2"], ["--effect", "0.2", "--changes", "0.1"]):
        assert main(["plan", "small.yaml", *wrong]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_level_is_that_at_which_the_run_would_stop(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stop = "stop: {decide: [pass@1 differs from baseline], alpha: 0.001}\n"
    (tmp_path / "small.yaml").write_text(SPEC + stop)
    assert main(["plan", "small.yaml", "--effect", "0.2", "--changes", "0.2"]) == 0
    shown = capsys.readouterr().out
    assert "at 0.001 corrected" in " ".join(shown.split())
    # Two doses, the neutral one among them: Holm's method is at its strictest at half of that.
    assert f"{samples_needed(0.2, 0.2, 0.0005)} !" in shown
