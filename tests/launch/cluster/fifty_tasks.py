"""Fifty tasks, three of them killed on the way: the report is that of one process.

Too long for the suites, since each task is a process that imports and loads a model:

    pytest tests/launch/cluster/fifty_tasks.py -s
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import nullcontext

import pandas as pd
import pytest

from tests.launch.cluster.one_node import OneNode, absent
from tests.launch.cluster.projects import SWEEP, Project, states

_KILLED = ("00007", "00021", "00033")
_FIFTY = SWEEP.replace(
    "axes: {intervention.count: [0, 4, 16, 30]}",
    f"axes: {{intervention.count: {list(range(25))}, seed: [0, 1]}}",
)


@pytest.mark.parametrize("cluster", ["slurm", "local"])
def test_fifty_tasks_make_the_report_of_one_process(cluster, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.launch.cluster.projects._PATIENCE", 3600)
    why = absent() if cluster == "slurm" else None
    if why is not None:
        pytest.skip(why)
    (tmp_path / "sweep.yaml").write_text(_FIFTY)
    with OneNode() if cluster == "slurm" else nullcontext() as node:
        project = Project(tmp_path, prepared, {} if node is None else node.environment)
        begun = time.monotonic()
        status, told = project.titrate(
            "run", "sweep.yaml", "--report", "one", "--store", "own", "--fresh"
        )
        assert status == 0, told
        alone, begun = time.monotonic() - begun, time.monotonic()
        run = project.submitted(
            "sweep.yaml", "--cluster", cluster, "--array-parallelism", "4", "--report", "many"
        )
        for name in _KILLED:
            project.await_outcome(run, name).kill()
        # From another shell, in another folder, while it runs.
        said = project.status(run, tmp_path.parent)
        assert len([name for name in states(said) if not name.startswith("first")]) == 50
        status, told = project.titrate("status", run, "--wait")
        assert status == 1, told
        found = states(project.look(run))
        assert Counter(found.values()) == {"done": len(found) - 3, "failed": 3}
        assert {name for name, state in found.items() if state == "failed"} == {*_KILLED}
        status, told = project.titrate("resubmit", run, "--wait")
        assert status == 0, told
        assert "3 tasks are submitted again" in told
        times = f"{time.monotonic() - begun:.0f} s, in one process {alone:.0f} s"
        (tmp_path / "times.txt").write_text(f"{cluster}: {times}\n")
    assert project.samples("many") == project.samples("one")
    assert project.told("many") == project.told("one")
    tables = [pd.read_csv(tmp_path / name / "cases.csv") for name in ("one", "many")]
    pd.testing.assert_frame_equal(*(table.drop(columns="seconds") for table in tables))
