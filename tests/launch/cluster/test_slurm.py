"""Runs on a real SLURM, a node of it: what it is told, what becomes of tasks that die."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import TitrateError
from harness.launch.cluster import queue
from harness.processes.beside import beside
from tests.launch.cluster.one_node import OneNode, absent
from tests.launch.cluster.projects import LONG, SWEEP, Project, kill_later, states

pytestmark = pytest.mark.slow


@pytest.fixture
def project(slurm, prepared, tmp_path) -> Project:
    for name, text in {"sweep": SWEEP, "long": LONG}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return Project(tmp_path, prepared, slurm.environment)


def test_killed_tasks_are_done_again_and_the_report_is_that_of_one_process(
    slurm, project, prepared, tmp_path
):
    prepared.run(
        tmp_path, "run", "sweep.yaml", "--report", "one", "--store", "own", program="titrate"
    )
    run = project.submitted("sweep.yaml", "--report", "many", "--store-scratch", f"{tmp_path}/disk")
    # What all tasks need is made first; four tasks are more than an array of this cluster may have.
    said = project.status(run)
    assert [task["name"] for task in said["tasks"]] == [
        "first-00000",
        *(f"0000{at}" for at in range(4)),
    ]
    assert len({task["job"].partition("_")[0] for task in said["tasks"]}) == 3
    # Two of the four are killed, one before it has noted anything and one while it works.
    begun = project.await_(run, lambda now: states(now)["first-00000"] == "done")
    assert begun["merge"]["state"] == "waiting"
    while len(processes := project.processes(run)) < 2:
        time.sleep(0.05)
    early, working = processes[:2]
    early.kill()
    kill_later(working, signal.SIGKILL, lambda: project.worked_on(run, working))
    status, told = project.titrate("status", run, "--wait")
    assert status == 1
    assert f"titrate resubmit {run}" in told
    assert told.count("failed (job ") == 2
    assert "Killed" in told  # what srun says of a process that could say nothing
    assert project.told("many")["cases"] != project.told("one")["cases"]
    # The checkout changes; tasks in flight, and those that follow, do not.
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("limit: 3", "limit: 1"))
    status, told = project.titrate("resubmit", run, "--wait")
    assert status == 0, told
    assert "2 tasks are submitted again: " in told
    assert project.samples("many") == project.samples("one")
    assert project.told("many") == project.told("one")
    assert list((tmp_path / "disk").glob("*/*")) == []
    assert project.titrate("resubmit", run)[1] == f"run {run}: nothing is lacking\n"
    # No accounting, and a queue that has forgotten them: what was done stays done.
    slurm.said("scontrol", "update", f"JobId={said['tasks'][0]['job']}", "Comment=seen")
    assert set(states(project.status(run)).values()) == {"done"}


def test_a_task_that_is_to_make_room_goes_on_in_the_same_job(slurm, project, prepared, tmp_path):
    prepared.run(
        tmp_path, "run", "long.yaml", "--report", "one", "--store", "own", program="titrate"
    )
    run = project.submitted("long.yaml", "--report", "many")
    (job,) = {task["job"] for task in project.status(run)["tasks"]}
    while project.stored() < 5:
        time.sleep(0.05)
    slurm.said("scancel", "--signal=USR1", job)
    said = project.await_(
        run, lambda now: "Restarts=1" in slurm.said("scontrol", "show", "job", job)
    )
    # Again, this time for a job of a partition that comes first: all of it is SLURM's own doing.
    before = project.stored()
    while project.stored() < before + 5:
        time.sleep(0.05)
    slurm.said("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true")
    project.await_(run, lambda now: "Restarts=2" in slurm.said("scontrol", "show", "job", job))
    # The merge is killed too, and made again.
    project.await_outcome(run, "merge").kill()
    said = project.await_(run, lambda now: now["ended"])
    assert said["merge"]["state"] == "failed"
    status, told = project.titrate("resubmit", run, "--wait")
    assert status == 0, told
    assert told.startswith(f"run {run}: the report is made again\n")
    assert project.samples("many") == project.samples("one")
    # Nothing was made twice: what was finished before is found.
    stored = [each["counts"]["requests_stored"] for each in project.status(run)["tasks"]]
    assert stored[0] > 0


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A small disk, which somebody else has filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    (folder / "others").write_bytes(bytes(2**20))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_a_drained_node_and_a_killed_step_leave_what_resubmit_does(
    slurm, project, prepared, tmp_path, disk
):
    prepared.run(
        tmp_path, "run", "sweep.yaml", "--report", "one", "--store", "own", program="titrate"
    )
    run = project.submitted("sweep.yaml", "--report", "many", "--store-scratch", str(disk))
    status, told = project.titrate("status", run, "--wait")
    assert status == 1
    assert told.count("No space left on device") >= 4, told
    (disk / "others").unlink()
    project.titrate("resubmit", run)
    project.await_(run, lambda now: states(now)["first-00000"] == "done")
    while not (working := project.processes(run)):
        time.sleep(0.05)
    # The node takes nothing more, and what runs on it ends as it would.
    node = f"NodeName={slurm.host}"
    slurm.said("scontrol", "update", node, "State=DRAIN", "Reason=test")
    step = next(each for each in working[0].parents() if each.name() == "slurmstepd")
    step.kill()
    project.await_(run, lambda now: "running" not in states(now).values() or _all_done(now))
    slurm.said("scontrol", "update", node, "State=RESUME")
    status, told = project.titrate("resubmit", run, "--wait")
    if status:
        status, told = project.titrate("resubmit", run, "--wait")
    assert status == 0, told
    assert project.samples("many") == project.samples("one")
    assert project.told("many") == project.told("one")


def _all_done(now: Mapping[str, Any]) -> bool:
    return set(states(now).values()) == {"done"}


_NOBODY = 65534


def _cancel_as_another_user(job: str) -> None:
    os.setuid(_NOBODY)
    queue.cancel([job])


def test_what_waits_for_a_node_is_cancelled_from_anywhere_and_goes_on_later(
    slurm, project, tmp_path, monkeypatch
):
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    node = f"NodeName={slurm.host}"
    slurm.said("scontrol", "update", node, "State=DRAIN", "Reason=test")
    try:
        run = project.submitted("long.yaml", "--limit", "2", "--report", "many")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        other = tmp_path.parent
        assert states(project.status(run, other)) == {"00000": "waiting"}
        (task,) = project.status(run)["tasks"]
        with (
            beside(lambda: _cancel_as_another_user(task["job"]), forked=True) as refused,
            pytest.raises(TitrateError, match="denied; only the user who submitted the run"),
        ):
            refused()
        status, told = project.titrate("cancel", run, folder=other)
        assert (status, told.partition(";")[0]) == (0, "1 tasks are cancelled")
        assert states(project.status(run)) == {"00000": "cancelled"}
        status, told = project.titrate("status", run[:-1], folder=other)
        assert (status, told) == (2, f"titrate: {run[:-1]}: no such run; did you mean {run}?\n")
    finally:
        slurm.said("scontrol", "update", node, "State=RESUME")
    status, told = project.titrate("resubmit", run, "--wait")
    assert status == 0, told


def test_a_task_without_memory_is_told_so_and_gets_twice_as_much(prepared, tmp_path):
    if absent() or not Path("/sys/fs/cgroup/memory").is_dir():
        pytest.skip("memory is bounded by control groups, version 1, which are not here")
    (tmp_path / "long.yaml").write_text(LONG.replace("cpus: 1", "cpus: 1, memory: 300M"))
    with OneNode(confined=True) as node:
        project = Project(tmp_path, prepared, node.environment)
        run = project.submitted("long.yaml", "--limit", "1", "--report", "many")
        sizes = []
        said = project.await_(run, lambda now: now["ended"])
        while states(said) == {"00000": "out of memory"} and len(sizes) < 4:
            status, told = project.titrate("resubmit", run)
            assert status == 0, told
            said = project.status(run)
            job = node.said("scontrol", "--oneliner", "show", "job", said["tasks"][0]["job"])
            sizes.append(job.partition("MinMemoryNode=")[2].partition(" ")[0])
            said = project.await_(run, lambda now: now["ended"])
    assert states(said) == {"00000": "done"}
    assert sizes == ["600M", "1200M"][: len(sizes)] != []
    assert project.told("many")["cases"][0]["status"] == "complete"


def test_what_sbatch_refuses_is_told_in_its_words_and_leaves_nothing(slurm, project, tmp_path):
    status, told = project.titrate("submit", "sweep.yaml", "--partition", "nowhere")
    assert status == 2
    assert told.splitlines()[-1].startswith(
        "titrate: sbatch: error: invalid partition specified: nowhere; "
    )
    assert slurm.said("squeue", "--noheader", "--states=pending,running") == ""
    assert not list((tmp_path / ".titrate" / "runs").iterdir())
