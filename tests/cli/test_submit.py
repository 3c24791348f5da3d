"""`titrate submit --dry-run`: what would be submitted is printed, and nothing is written."""

from __future__ import annotations

import pytest

from harness.cli.main import main

SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
intervention: {kind: router_mask, points: {random: 0}, count: 0}
sampling: {max_new_tokens: 4}
axes: {intervention.count: [0, 1]}
dose: intervention.count
resources: {gpus: 1, time: "1:30:00"}
"""


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ("slurm", ["#SBATCH --time=90", "#SBATCH --gpus-per-node=1", "--array=0-1%2", "afterany:"]),
        ("local", ["at a time", "# 00000", "# 00001", "# merge"]),
    ],
)
def test_a_dry_run_prints_scripts_and_writes_nothing(cluster, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "small.yaml").write_text(SPEC)
    assert main(["submit", "small.yaml", "--cluster", cluster, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert [each for each in told if each not in shown] == []
    assert "submitit.core._submit" in shown
    assert [path.name for path in tmp_path.rglob("*")] == ["small.yaml"]


def test_tasks_go_on_with_what_a_run_gave_up_where_they_are_told_to(tmp_path, monkeypatch):
    from harness.launch.cluster import submitting

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "small.yaml").write_text(SPEC)
    whole, found = submitting.prepared, []

    def kept(*arguments):
        found.append(whole(*arguments))
        return found[-1]

    monkeypatch.setattr(submitting, "prepared", kept)
    for more in ([], ["--continue"]):
        assert main(["submit", "small.yaml", "--cluster", "local", "--dry-run", *more]) == 0
    assert [submission.further for _, submission in found] == [False, True]
