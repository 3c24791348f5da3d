"""A store on a file system that cannot be written, and one that is deleted while a run goes on."""

from __future__ import annotations

import os
import sys

import pytest

from tests.durability.project import REQUESTS, Reported
from tests.durability.test_kills import COMMAND, summary

# A mount of the process's own: the rights of folders do not bind root.
READ_ONLY = """\
import ctypes
from harness.sandbox import libc
libc.unshare(0x20000)
libc.mount(None, "/", None, libc.MS_REC | libc.MS_PRIVATE)
libc.mount({0!r}, {0!r}, None, libc.MS_BIND)
libc.mount(None, {0!r}, None, libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY)
"""
# After so many completions that this process has stored, somebody takes the store away.
DELETING = """\
import shutil
from harness.store.completions import CompletionStore
original, put = CompletionStore.put, []
def deleting(store, *given):
    original(store, *given)
    put.append(given)
    if len(put) == {1}:
        shutil.rmtree({0!r})
CompletionStore.put = deleting
"""


@pytest.fixture
def read_only(project):
    """Makes a folder of the project read-only for the runs to come."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a read-only mount needs Linux and its root")

    def make(folder):
        (project / "conftest.py").write_text(READ_ONLY.format(str(folder)))

    return make


def test_a_complete_store_needs_no_place_to_write(prepared, undisturbed, project, read_only):
    expected, _ = undisturbed
    assert prepared.run(project, *COMMAND).status == 0
    kept = sorted((project / ".titrate").rglob("*"))
    read_only(project / ".titrate")
    again = prepared.run(project, "benches", "--titrate-report=again")
    assert again.status == 0, again.output
    assert summary(again.output)[:3] == (0, REQUESTS, REQUESTS)
    assert Reported.of(project / "again") == expected
    assert sorted((project / ".titrate").rglob("*")) == kept


def test_what_is_missing_of_a_read_only_store_loads_no_model(prepared, project, read_only):
    assert prepared.run(project, *COMMAND, "-k", "assisted").status == 0
    read_only(project / ".titrate")
    ended = prepared.run(project, *COMMAND)
    assert ended.status == 1
    assert "Traceback" not in ended.output
    assert "Read-only file system; make it writable or give another folder" in ended.output
    assert "loading" not in ended.output


def test_an_empty_store_that_is_read_only_is_refused_up_front(prepared, project, read_only):
    (project / ".titrate").mkdir()
    read_only(project / ".titrate")
    ended = prepared.run(project, *COMMAND)
    assert ended.status == pytest.ExitCode.USAGE_ERROR, ended.output
    assert ended.output.count("Read-only file system") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "workers"),
    # No worker makes all requests.
    [(3, 0), (3, 2), (REQUESTS, 0)],
)
def test_a_store_deleted_meanwhile_is_told_and_costs_no_result(
    prepared, undisturbed, project, workers, after
):
    expected, _ = undisturbed
    (project / "conftest.py").write_text(DELETING.format(str(project / ".titrate/store"), after))
    ended = prepared.run(project, *COMMAND, *prepared.workers(workers))
    assert ended.status == 1, ended.output
    assert "Traceback" not in ended.output
    (line,) = [each for each in ended.output.splitlines() if "deleted from its store" in each]
    assert "this report has their results, a rerun makes them again" in line
    assert Reported.of(project / "out") == expected
    (project / "conftest.py").unlink()
    assert prepared.run(project, *COMMAND).status == 0
