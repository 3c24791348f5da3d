"""A project's conftest.py, read by `titrate` for what it registers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.launch.project import conftest

CONFTEST = """
from dataclasses import dataclass

from harness import registry
from harness.metrics.entry import MetricEntry, per_answer
{more}
print("read")
registry.tasks.register("own", "harness.tasks.micro_gsm8k:MicroGSM8K")
"""
SPEC = """
name: mine
model: zoo/moe
task: {name: own, limit: 1}
sampling: {max_new_tokens: 2}
"""


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "conftest.py").write_text(CONFTEST.format(more=""))
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "mine.yaml").write_text(SPEC)
    return tmp_path


def titrate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from harness.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_verbs_know_what_it_registers(project, prepared):
    listed = titrate(project / "specs", "list", "tasks")
    assert listed.stdout.startswith("read\n")
    assert [line.split()[0] for line in listed.stdout.splitlines()][-1] == "own"
    planned = prepared.run(project, "run", "specs/mine.yaml", "--plan", program="titrate")
    assert (planned.status, planned.output.count("read\n")) == (0, 1)


def test_a_verb_that_asks_for_no_entry_does_not_read_it(project):
    assert titrate(project, "store", "list").stdout.find("read") == -1


def test_one_that_cannot_be_imported_is_one_line(project):
    (project / "conftest.py").write_text(CONFTEST.format(more="import nowhere_at_all"))
    told = titrate(project, "run", "specs/mine.yaml", "--plan")
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert line.startswith(f"titrate: {project / 'conftest.py'}: cannot be imported: ")
    assert "No module named 'nowhere_at_all'" in line


def test_it_is_sought_from_the_command_up_to_the_projects_root_and_no_further(tmp_path):
    """A spec that lies elsewhere brings none: where it lies is not looked at."""
    (tmp_path / "conftest.py").touch()
    inner = tmp_path / "project" / "deep"
    inner.mkdir(parents=True)
    assert conftest(inner) is None, "without a root there is the folder itself alone"
    (tmp_path / "project" / ".git").touch()
    assert conftest(inner) is None
    own = tmp_path / "project" / "conftest.py"
    own.touch()
    assert conftest(inner) == own
    (inner / "conftest.py").touch()
    assert conftest(inner) == inner / "conftest.py"
