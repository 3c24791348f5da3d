"""Which package a task imports: the copy that was submitted, also where it starts in a checkout."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.launch.cluster import local_jobs, slurm
from harness.launch.cluster.submission import ArrayTask, Submission, TaskGroup
from harness.spec.resources import Resources


@pytest.fixture
def submission(tmp_path, monkeypatch) -> Submission:
    """A run whose code, and whose folder, have a package of the same name."""
    for name in ("code", "checkout", "more"):
        package = tmp_path / name / "package"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "where.py").write_text(f"print({name!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "more"))
    monkeypatch.chdir(tmp_path / "checkout")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    group = TaskGroup("zoo/moe", Resources(), (ArrayTask("00000", ("case",)),))
    code, root = str(tmp_path / "code"), str(tmp_path / "checkout")
    return Submission("id", "slurm", root, "/s", None, code, {}, {}, (group,))


def imported(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_process_of_this_machine_imports_the_code_that_was_submitted(submission):
    command = [sys.executable, "-m", "package.where"]
    assert imported(command, dict(os.environ)) == "checkout"
    assert imported(command, local_jobs.environment(submission)) == "code"


def test_so_do_the_scripts_of_slurm_the_merge_s_too(submission):
    scripts = list(slurm.scripts(submission))
    assert len(scripts) == 2
    for script in scripts:
        exports = [line for line in script.splitlines() if line.startswith("export ")]
        lines = "\n".join([*exports, f"{sys.executable} -m package.where"])
        assert imported(["/bin/sh", "-c", lines], dict(os.environ)) == "code"
