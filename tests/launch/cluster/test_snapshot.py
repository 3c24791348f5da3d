"""What a task holds the code to that it imports: a copy of the package, and digests of the rest."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest

from harness.errors import TitrateError
from harness.launch.cluster import snapshot
from harness.launch.cluster.snapshot import (
    check_code,
    check_unchanged,
    code_below,
    digests,
    imported,
    keep_code,
)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that makes a module in a folder and imports it, for this test alone."""
    made = []

    def make(name: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.py"
        file.write_text("DOSE = 1\n")
        monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        importlib.import_module(name)
        made.append(name)
        return file

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_what_the_project_imports_is_held_to_what_it_was(tmp_path, module):
    own = module("titrate_helper_of_a_project", tmp_path / "project" / "tools")
    module("titrate_module_of_nobody", tmp_path / "elsewhere")
    files = digests(imported(tmp_path / "project"))
    assert list(files) == [str(own)]
    check_unchanged(files)
    own.write_text("DOSE = 2\n")
    with pytest.raises(TitrateError, match=r"titrate_helper_of_a_project\.py: has changed since"):
        check_unchanged(files)


def test_so_is_an_installed_package_that_adds_to_a_registry(tmp_path, module):
    file = module("titrate_added", tmp_path / "site")
    described = tmp_path / "site" / "titrate_added-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Name: titrate-added\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[titrate.tasks]\nown = titrate_added:DOSE\n")
    importlib.invalidate_caches()
    assert str(file) in set(imported(tmp_path / "project"))


def test_a_task_runs_the_code_that_was_submitted_or_none(tmp_path, monkeypatch):
    code = code_below(tmp_path)
    with pytest.raises(TitrateError, match="is not the code that was submitted, which is in"):
        check_code(str(code))
    keep_code(code)
    monkeypatch.setattr(snapshot, "_PACKAGE", code / "harness")  # as in a task, which imports it
    check_code(str(code))
    shutil.copyfile(code / "harness" / "errors.py", code / "harness" / "added.py")
    with pytest.raises(TitrateError, match="is no longer the code that was submitted"):
        check_code(str(code))
