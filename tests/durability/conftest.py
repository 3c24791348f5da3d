"""A project with a small sweep, and what an undisturbed run of it reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.project import Reported, make_project, size


@pytest.fixture(scope="session")
def undisturbed_folder(prepared, tmp_path_factory) -> Path:
    """Where a run was made that nothing happened to."""
    folder = make_project(tmp_path_factory.mktemp("undisturbed"))
    ended = prepared.run(folder, "benches", "--titrate-report=out")
    assert ended.status == 0, ended.output
    return folder


@pytest.fixture(scope="session")
def undisturbed(undisturbed_folder) -> tuple[Reported, int]:
    """The report of a run that nothing happened to, and how many bytes it has written."""
    return Reported.of(undisturbed_folder / "out"), size(undisturbed_folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)
