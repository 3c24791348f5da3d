"""The folder of a run: what any process reads from it after any other died."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harness.errors import StoreError
from harness.runs.agreement import with_one_baseline
from harness.runs.generated import without_completions
from harness.store.folder import Manifest, RunFolder
from harness.store.journal import Journal
from harness.store.places import runs_below
from tests.runs.small import cases, result_of

MANIFEST = Manifest(
    id="20260101-120000-abcdef",
    started=datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC),
    command="pytest benches -k keep",
    report="/tmp/out",
    git=("abc", True),
    versions={"torch": "2.13.0"},
)


@pytest.fixture
def planned():
    asked = cases(axes={"intervention.count": [0, 4]}, dose="intervention.count")
    return without_completions(asked, "incomplete", "the run ended before it")


def complete(result):
    return result_of(result.case, [(1, 2), (3,)], gap=0.25)


def test_nothing_is_made_before_something_is_written(tmp_path):
    RunFolder(tmp_path / "runs" / "x").close()
    assert not list(tmp_path.iterdir())


def test_the_manifest_comes_back(tmp_path):
    RunFolder(tmp_path / "x").begin(MANIFEST)
    assert RunFolder(tmp_path / "x").manifest() == MANIFEST
    without = replace(MANIFEST, git=None)
    RunFolder(tmp_path / "x").begin(without)
    assert RunFolder(tmp_path / "x").manifest() == without


def test_planned_cases_are_incomplete_until_they_have_a_result(tmp_path, planned):
    folder = RunFolder(tmp_path / "x")
    folder.plan(planned)
    assert RunFolder(tmp_path / "x").results() == planned
    done = complete(planned[2])
    folder.add(done)
    assert RunFolder(tmp_path / "x").results() == [*planned[:2], done]


def test_processes_add_up_in_planned_order(tmp_path, planned):
    one, other = (RunFolder(tmp_path / "x", name) for name in ("gw0", "gw1"))
    one.plan(planned)
    other.plan(planned)
    done = [complete(result) for result in planned]
    other.add(done[2])
    one.add(done[0])
    other.add(done[1])
    # What follows its baseline is compared with it as both are read.
    assert RunFolder(tmp_path / "x").results() == with_one_baseline(done)
    # A copy that reads the other file finds no baseline in it.
    halves = RunFolder(tmp_path / "x").results(forked=True)
    assert with_one_baseline(halves) == with_one_baseline(done)


def test_a_complete_result_wins_over_a_failed_one(tmp_path, planned):
    one, other = (RunFolder(tmp_path / "x", name) for name in ("gw0", "gw1"))
    failed = replace(planned[0], status="failed", error="boom")
    done = complete(planned[0])
    one.add(done)
    other.add(failed)
    assert RunFolder(tmp_path / "x").results() == [done]
    assert RunFolder(tmp_path / "x").results(forked=True) == [done]
    third = RunFolder(tmp_path / "y")
    third.add(failed)
    third.add(done)
    assert third.results() == [done]


def test_a_torn_record_is_as_if_it_had_not_been_written(tmp_path, planned):
    folder = RunFolder(tmp_path / "x")
    folder.plan(planned)
    folder.add(complete(planned[0]))
    folder.add(complete(planned[1]))
    path = tmp_path / "x" / "cases-main.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert folder.results() == [complete(planned[0]), *planned[1:]]


def test_what_a_copy_has_skipped_is_told_too(tmp_path, planned):
    for name, result in zip(("gw0", "gw1"), planned[:2], strict=True):
        folder = RunFolder(tmp_path / "x", name)
        folder.plan(planned)
        folder.add(complete(result))
    path = tmp_path / "x" / "cases-gw1.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"status"', b'"altered"'))
    told: list[str] = []
    reading = RunFolder(tmp_path / "x", warn=told.append)
    assert reading.results(forked=True) == [complete(planned[0]), *planned[1:]]
    (line,) = told
    assert str(path) in line


def test_engines_of_all_processes_are_joined(tmp_path):
    one, other = (RunFolder(tmp_path / "x", name) for name in ("gw0", "gw1"))
    one.add_engine({"dtype": "float32", "fingerprint of a": "1"}, {"cores": 2})
    one.add_engine({"dtype": "float32", "fingerprint of a": "1", "fingerprint of b": "2"}, {})
    other.add_engine({"fingerprint of c": "3"}, {"cores": 4, "accelerators": []})
    assert RunFolder(tmp_path / "x").engines() == (
        {
            "dtype": "float32",
            "fingerprint of a": "1",
            "fingerprint of b": "2",
            "fingerprint of c": "3",
        },
        {"cores": 4, "accelerators": []},
    )


def test_the_project_s_own_folder_is_not_for_version_control(tmp_path):
    RunFolder(runs_below(tmp_path) / "x").begin(MANIFEST)
    assert (tmp_path / ".titrate" / ".gitignore").read_text() == "*\n"
    RunFolder(tmp_path / "elsewhere" / "x").begin(MANIFEST)
    assert not (tmp_path / ".gitignore").exists()


def test_a_plan_is_noted_whole_or_not_at_all(tmp_path, planned):
    folder = RunFolder(tmp_path / "x")
    append, calls = Journal.append, []

    def full(journal, record):
        calls.append(record)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return append(journal, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", full)
        with pytest.raises(StoreError, match="cannot be written: No space left on device; free"):
            folder.plan(planned)
    assert list((tmp_path / "x").iterdir()) == []
    folder.plan(planned)
    assert folder.results() == planned


@pytest.mark.parametrize("spoil", ["missing", "torn", "other version"])
def test_a_manifest_that_cannot_be_read_is_one_line(tmp_path, spoil):
    folder = RunFolder(tmp_path / "x")
    folder.begin(MANIFEST)
    path = tmp_path / "x" / "run.json"
    if spoil == "missing":
        path.unlink()
    elif spoil == "torn":
        path.write_text(path.read_text()[:50])
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 9}))
    with pytest.raises(StoreError, match=r"run\.json: ") as error:
        folder.manifest()
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, planned):
    (tmp_path / "file").write_text("")
    folder = RunFolder(tmp_path / "file" / "x")
    for attempt in (
        lambda: folder.begin(MANIFEST),
        lambda: folder.add(planned[0]),
        lambda: folder.add_engine({}, {}),
    ):
        with pytest.raises(StoreError, match=r"the run's records cannot be written: .*; free "):
            attempt()


def test_every_accelerator_that_workers_had_is_counted_once(tmp_path):
    """gw2 has replaced gw0, on the same device."""
    for process, device in [("gw0", "3"), ("gw1", "1"), ("gw2", "3")]:
        hardware = {"cores": 8, "devices": device, "accelerators": [f"H{device}"]}
        RunFolder(tmp_path / "x", process).add_engine({}, hardware)
    _, hardware = RunFolder(tmp_path / "x").engines()
    assert hardware == {"cores": 8, "devices": "3,1", "accelerators": ["H3", "H1"]}
