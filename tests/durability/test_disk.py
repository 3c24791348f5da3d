"""A full disk: what is finished stays, one line says what to do, and a rerun goes on."""

from __future__ import annotations

import pytest

from tests.durability.project import REQUESTS, Reported, make_project
from tests.durability.test_kills import COMMAND, summary


@pytest.mark.slow
def test_a_disk_that_is_full_from_the_start_stops_the_run(prepared, undisturbed, project):
    """Not even what is to be done can be noted: no model works for a run that cannot be kept."""
    expected, _ = undisturbed
    ended = prepared.run(project, *COMMAND, limit=10_000)
    assert ended.status == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in ended.output
    assert ended.output.count("cannot be written: File too large; free some space") == 1
    assert not (project / "out").exists()
    assert not (project / ".titrate").exists()
    assert prepared.run(project, *COMMAND).status == 0
    assert Reported.of(project / "out") == expected


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("place", [".titrate", ".titrate/runs", ".titrate/store"])
def test_what_cannot_be_written_is_one_line_up_front(prepared, project, place, workers):
    """A file lies where a folder should, since the rights of folders do not bind everybody."""
    (project / place).parent.mkdir(exist_ok=True)
    (project / place).write_text("mine")
    before = sorted(project.rglob("*"))
    ended = prepared.run(project, *COMMAND, *prepared.workers(workers))
    assert ended.status == pytest.ExitCode.USAGE_ERROR, ended.output
    lines = [line for line in ended.output.splitlines() if str(project / place) in line]
    assert len(lines) == 1, ended.output
    assert lines[0].startswith("ERROR: ")
    assert "another folder" in lines[0] or "make the folder writable" in lines[0]
    left = [path for path in sorted(project.rglob("*")) if path.suffix not in {".txt", ".pyc"}]
    assert [path for path in left if path.name != "__pycache__"] == before


def test_a_full_disk_costs_nothing_that_is_finished(
    prepared, undisturbed, undisturbed_folder, tmp_path_factory
):
    """No file may grow beyond the limit: the records end after some of the cases."""
    expected, _ = undisturbed
    # Records hold paths: in a folder whose name is as long, the plan is as large, and has room.
    project = make_project(tmp_path_factory.mktemp("disk_filled"))
    assert len(str(project)) == len(str(undisturbed_folder))
    (planned,) = undisturbed_folder.glob(".titrate/runs/*/planned-main.jsonl")
    ended = prepared.run(project, *COMMAND, limit=int(1.2 * planned.stat().st_size))
    assert ended.status == 1
    assert "Traceback" not in ended.output
    failures, _, _ = ended.output.partition("short test summary")
    assert failures.count("the run's records cannot be written: File too large; free some ") == 1
    assert failures.count("not run: nothing can be kept any more, as was said") == 1
    assert "During handling" not in failures
    assert "cannot be written: File too large; choose another directory" in ended.output
    (shard,) = (project / ".titrate" / "store").iterdir()
    content = shard.read_bytes()
    assert content.endswith(b"\n")
    there = content.count(b'"kind":"completion"')
    assert 0 < there <= REQUESTS
    again = prepared.run(project, *COMMAND)
    assert again.status == 0, again.output
    assert summary(again.output)[2] == there
    assert Reported.of(project / "out") == expected


@pytest.mark.slow
def test_a_full_store_does_not_keep_the_report_from_being_written(
    prepared, undisturbed, project, tmp_path_factory
):
    """The store's own disk is full, the report's is not: what is complete is reported."""
    full = tmp_path_factory.mktemp("disk") / "store"
    full.parent.joinpath("conftest.py").write_text("")
    (project / "conftest.py").write_text(
        "import os, harness.store.journal as journal\n"
        "original = os.write\n"
        "def write(file, data):\n"
        f"    if {str(full)!r} in os.readlink(f'/proc/self/fd/{{file}}'):\n"
        "        if os.fstat(file).st_size > 5000:\n"
        "            raise OSError(28, 'No space left on device')\n"
        "    return original(file, data)\n"
        "journal.os.write = write\n"
    )
    ended = prepared.run(project, *COMMAND, f"--titrate-store={full}")
    assert ended.status == 1
    assert f"{full}: completions cannot be stored: No space left on device; free " in ended.output
    assert "Traceback" not in ended.output
    report = Reported.of(project / "out").report
    assert {case["status"] for case in report["cases"]} >= {"failed"}
    assert "report: out" in ended.output
