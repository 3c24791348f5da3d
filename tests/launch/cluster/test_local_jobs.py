"""Runs as processes of this machine: the same road as on a cluster, without one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import harness
from harness.launch.cluster import local_jobs
from tests.launch.cluster.projects import SWEEP, Project, states

pytestmark = pytest.mark.slow


def test_a_killed_process_is_started_again_and_the_report_is_that_of_one_process(
    prepared, tmp_path
):
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    # As in a checkout: tasks import what was submitted all the same.
    (tmp_path / "harness").symlink_to(Path(harness.__file__).parent)
    project = Project(tmp_path, prepared)
    prepared.run(
        tmp_path, "run", "sweep.yaml", "--report", "one", "--store", "own", program="titrate"
    )
    run = project.submitted(
        "sweep.yaml", "--cluster", "local", "--array-parallelism", "2", "--report", "many"
    )
    project.await_outcome(run, "00000").kill()
    project.await_(run, lambda now: states(now)["00000"] == "failed")
    # All of it is ended, and what waited has not begun.
    status, told = project.titrate("cancel", run)
    assert status == 0, told
    said = project.await_(run, lambda now: now["ended"])
    found = states(said)
    assert (found["first-00000"], found["00000"]) == ("done", "failed")
    assert set(found.values()) <= {"done", "failed", "cancelled"}
    status, told = project.titrate("resubmit", run, "--wait")
    assert status == 0, told
    assert project.samples("many") == project.samples("one")
    assert project.told("many") == project.told("one")
    # The merge has loaded no model: its memory is not that of the run.
    document = json.loads((tmp_path / "many" / "report.json").read_text())
    assert document["run"]["cost"]["peak_memory_gib"] == {}


def test_a_process_that_has_only_just_started_is_alive(tmp_path):
    # Until its program is loaded a process has no arguments. On one core this process looks at it
    # before that, in most of the rounds.
    cores = os.sched_getaffinity(0)
    submission = SimpleNamespace(directory=tmp_path, run="run")
    try:
        os.sched_setaffinity(0, {min(cores)})
        for _ in range(50):
            waiting = [sys.executable, "-S", "-c", "input()", str(tmp_path)]
            with subprocess.Popen(waiting, stdin=subprocess.PIPE) as process:
                job = str(process.pid)
                found = local_jobs.states(submission, [job], platform.node())
                process.communicate(b"\n")
            assert job in found
            assert local_jobs.states(submission, [job], platform.node()) == {}
    finally:
        os.sched_setaffinity(0, cores)
