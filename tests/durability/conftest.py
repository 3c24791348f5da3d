"""A project with a small sweep, and what an undisturbed run of it reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .prepared import Prepared, size
from .project import Reported, make_project


@pytest.fixture(scope="session")
def prepared() -> Iterator[Prepared]:
    process = Prepared()
    yield process
    process.close()


@pytest.fixture(scope="session")
def undisturbed(prepared, tmp_path_factory) -> tuple[Reported, int]:
    """The report of a run that nothing happened to, and how many bytes it has written."""
    folder = make_project(tmp_path_factory.mktemp("undisturbed"))
    ended = prepared.run(folder, "benches", "--titrate-report=out")
    assert ended.status == 0, ended.output
    return Reported.of(folder / "out"), size(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)
