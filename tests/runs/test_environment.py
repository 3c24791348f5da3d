"""What a report says about the machine and the working tree."""

from __future__ import annotations

import json
import os
import platform
import subprocess

import psutil
import pytest
import torch

from harness.runs.environment import git_state, hardware, peak_memory_gib, versions


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """An empty folder outside of any repository, to work in."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    done = subprocess.run(
        ["git", *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(tree) -> str:
    git("init", "--quiet")
    (tree / "a").write_text("1")
    git("add", "a")
    git("commit", "--quiet", "--no-gpg-sign", "--message", "one")
    return git("rev-parse", "HEAD")


def test_versions_are_those_of_what_computes():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["torch"].startswith(torch.__version__.partition("+")[0])
    assert {"pytest-titrate", "transformers", "tokenizers", "numpy", "pytest"} <= set(found)


def test_hardware_is_plain_data():
    found = hardware()
    assert json.loads(json.dumps(found)) == found
    assert found["memory_gib"] > 0
    assert found["cores"] >= 1
    assert len(found["accelerators"]) == torch.cuda.device_count()


def test_outside_of_a_repository_there_is_no_state(tree):
    assert git_state() is None


def test_a_repository_without_commits_has_no_state(tree):
    git("init", "--quiet")
    assert git_state() is None


def test_changed_and_new_files_make_a_tree_dirty(tree):
    """A spec that was never added is not in the commit that the report names."""
    head = commit(tree)
    assert git_state() == (head, False)
    (tree / "new").write_text("")
    assert git_state() == (head, True)
    (tree / "new").unlink()
    (tree / "a").write_text("2")
    assert git_state() == (head, True)


def test_a_machine_without_git_has_no_state(tree, monkeypatch):
    commit(tree)
    monkeypatch.setenv("PATH", "")
    assert git_state() is None


def test_the_peak_of_memory_is_what_the_system_says_of_this_process():
    """At least what is resident now, and never more than the machine has."""
    peak = peak_memory_gib()["process"] * 2**30
    resident = psutil.Process().memory_info().rss
    assert 0.9 * resident <= peak <= psutil.virtual_memory().total
