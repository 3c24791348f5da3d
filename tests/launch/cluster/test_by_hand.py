"""Tasks of a SLURM array that a user starts by hand: their order, and the one beyond the last."""

from __future__ import annotations

import json

import pytest

from harness.errors import OptionError, ReportError, TitrateError
from harness.runs.merge import joined
from harness.runs.shard import ArrayShare, asked_share
from tests.runs.small import cases

SPEC = """\
name: seeds
model: zoo/moe
task: {name: micro_gsm8k, limit: 2}
sampling: {max_new_tokens: 2, temperature: 1}
axes: {prompt.style: [assisted, agentic], seed: [3, 1]}
"""


def task(number: int) -> ArrayShare:
    return ArrayShare.of_environment(
        {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_JOB_ID": "7"}
    )


def test_seeds_are_outermost_then_parameters():
    asked = cases(axes={"intervention.count": [0, 1], "seed": [3, 1]})
    order = [task(at).own(asked)[0] for at in range(4)]
    assert [
        (each.experiment.seed, each.case.params["intervention.count"]) for (each,) in order
    ] == [
        (3, 0),
        (3, 1),
        (1, 0),
        (1, 1),
    ]
    assert task(4).own(asked) == ([], [])
    assert task(4).beyond(4)
    assert not task(3).beyond(4)


@pytest.mark.parametrize("value", [None, "", "a", "-1"])
def test_what_is_no_task_is_one_line(value, monkeypatch):
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    if value is not None:
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", value)
    with pytest.raises(TitrateError, match=r"--titrate-array: SLURM_ARRAY_TASK_ID is .*; start it"):
        asked_share(None, array=True)
    with pytest.raises(OptionError, match="1/2: is another share than that of --titrate-array"):
        asked_share("1/2", array=True)


def test_tasks_by_hand_make_the_report_of_one_run(prepared, tmp_path, monkeypatch):
    """All but one with `titrate run`, that one with pytest: they are one run."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "seeds.yaml").write_text(SPEC)

    def titrate(number: int | None, *arguments: str):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", f"{number}")
        return prepared.run(tmp_path, "run", "specs/seeds.yaml", *arguments, program="titrate")

    def pytested(number: int):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", f"{number}")
        own = ["--titrate-array", "--titrate-report", "reports/all"]
        return prepared.run(tmp_path, *own, "specs/seeds.yaml")

    assert titrate(None, "--report", "reports/whole").status == 0
    for number in (0, 1, 3):
        assert titrate(number, "--array", "--report", "reports/all", "--fresh").status == 0
    refused = titrate(4, "--array", "--report", "reports/all")
    assert refused.status == 2
    assert "task 2 of the array is missing, 1 of 4 in all; run sbatch --array=2" in refused.output
    assert pytested(2).status == 0
    for beyond in (titrate(9, "--array", "--report", "reports/all"), pytested(4)):
        assert beyond.status == 0, beyond.output
    whole, own = (tmp_path / "reports" / name for name in ("whole", "all"))
    assert (own / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()
    assert json.loads((own / "report.json").read_text())["run"]["shard"] is None


def test_without_any_report_there_is_nothing_to_merge(tmp_path):
    with pytest.raises(ReportError, match="no task has written a report here"):
        task(9).reports(tmp_path)
    with pytest.raises(ReportError):
        joined([tmp_path])
