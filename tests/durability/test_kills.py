"""Runs that are killed at any moment and run again report what an undisturbed run does."""

from __future__ import annotations

import random
import re
import signal

import pytest

from harness.store.folder import RunFolder
from harness.store.journal import encoded
from tests.durability.project import CASES, REQUESTS, Reported, grown, make_project

COMMAND = ("benches", "--titrate-report=out")


def summary(output: str) -> tuple[int, int, int]:
    """Model loads, requests and how many of them were stored, as the run has told."""
    found = re.search(r"(\d+) model loads?; (\d+) requests(?: \((\d+) stored\))?", output)
    assert found is not None, output
    return int(found[1]), int(found[2]), int(found[3] or 0)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))]
)
def test_killed_three_times_and_resumed(prepared, undisturbed, project, seed):
    """24 moments, spread over what an undisturbed run writes, and before its start and its end."""
    expected, total = undisturbed
    draw = random.Random(seed)
    moments = sorted(draw.uniform(-0.1, 1.1) for _ in range(3))
    for moment in moments:
        prepared.run_until(grown(project, moment * total), signal.SIGKILL, project, *COMMAND)
    ended = prepared.run(project, *COMMAND)
    assert ended.status == 0, ended.output
    assert "Traceback" not in ended.output
    assert Reported.of(project / "out") == expected
    assert summary(ended.output)[1] == REQUESTS


def test_a_kill_costs_only_what_was_in_flight(prepared, undisturbed, project):
    """Everything that was in the store when the process died is used, and nothing is made twice."""
    _, total = undisturbed
    killed = prepared.run_until(grown(project, total // 2), signal.SIGKILL, project, *COMMAND)
    assert killed.status == -signal.SIGKILL
    (shard,) = (project / ".titrate" / "store").iterdir()
    there = shard.read_bytes().count(b'"kind":"completion"')
    assert 0 < there < REQUESTS
    ended = prepared.run(project, *COMMAND)
    assert summary(ended.output) == (1, REQUESTS, there)
    lines = [path.read_bytes() for path in (project / ".titrate" / "store").iterdir()]
    assert sum(each.count(b'"kind":"completion"') for each in lines) == REQUESTS


def test_a_complete_run_is_repeated_without_a_model(prepared, undisturbed, project):
    expected, _ = undisturbed
    prepared.run(project, *COMMAND)
    ended = prepared.run(project, *COMMAND)
    assert ended.status == 0
    assert summary(ended.output) == (0, REQUESTS, REQUESTS)
    assert "loading" not in ended.output
    assert Reported.of(project / "out") == expected


@pytest.mark.slow
def test_fresh_makes_everything_again(prepared, undisturbed, project):
    expected, _ = undisturbed
    prepared.run(project, *COMMAND)
    ended = prepared.run(project, *COMMAND, "--titrate-fresh")
    assert summary(ended.output) == (1, REQUESTS, 0)
    assert Reported.of(project / "out") == expected


@pytest.mark.slow
def test_what_is_stored_does_not_depend_on_the_selection(prepared, undisturbed, project):
    expected, _ = undisturbed
    first = prepared.run(project, *COMMAND, "-k", "agentic and 30")
    assert summary(first.output) == (1, 6, 0)
    second = prepared.run(project, *COMMAND, "-k", "agentic")
    assert summary(second.output) == (1, 9, 6)
    ended = prepared.run(project, *COMMAND)
    assert summary(ended.output) == (1, REQUESTS, 9)
    assert Reported.of(project / "out") == expected


def test_baselines_are_shared_by_spec_files(prepared, project):
    """Another sweep on the same model and task finds the baselines of the first."""
    other = (project / "specs" / "small.yaml").read_text().replace("name: small", "name: other")
    (project / "specs" / "other.yaml").write_text(other.replace("[0, 30]", "[2]"))
    ended = prepared.run(project, *COMMAND)
    assert summary(ended.output) == (1, REQUESTS + 6, 0)


def test_an_interrupted_run_reports_what_is_there(prepared, undisturbed, project):
    """Ctrl-C: the report has what was complete; the rest is in it as incomplete."""
    expected, total = undisturbed
    ended = prepared.run_until(grown(project, total // 2), signal.SIGINT, project, *COMMAND)
    assert ended.status == 2, ended.output
    cases = Reported.of(project / "out").report["cases"]
    complete = [case for case in cases if case["status"] == "complete"]
    assert 0 < len(complete) < len(cases) == CASES
    by_id = {case["id"]: case for case in expected.report["cases"]}
    assert all(case == by_id[case["id"]] for case in complete)
    assert {case["error"] for case in cases if case not in complete} == {"the run ended before it"}
    assert "report: out" in ended.output
    assert prepared.run(project, *COMMAND).status == 0
    assert Reported.of(project / "out") == expected


@pytest.mark.slow
def test_a_killed_run_leaves_its_records(prepared, undisturbed, project):
    expected, total = undisturbed
    prepared.run_until(grown(project, 0.6 * total), signal.SIGKILL, project, *COMMAND)
    (folder,) = (project / ".titrate" / "runs").iterdir()
    run = RunFolder(folder)
    assert run.manifest().id == folder.name
    assert run.manifest().report == str(project / "out")
    results = run.results()
    assert [result.case.id for result in results] == [
        case["id"] for case in expected.report["cases"]
    ]
    complete = {result.case.id: result for result in results if result.status == "complete"}
    assert 0 < len(complete) < CASES
    for case in expected.records:
        if case.case.id in complete:
            assert complete[case.case.id].draws == case.draws
    determinism, hardware = run.engines()
    assert determinism == expected.report["run"]["determinism"]
    assert hardware == expected.report["run"]["hardware"]


@pytest.mark.slow
def test_a_torn_last_line_costs_one_completion(prepared, undisturbed, project):
    expected, _ = undisturbed
    prepared.run(project, *COMMAND)
    (shard,) = (project / ".titrate" / "store").iterdir()
    content = shard.read_bytes()
    shard.write_bytes(content[: content.rindex(b'"completion"')])  # verdicts stand behind it
    ended = prepared.run(project, *COMMAND)
    assert summary(ended.output) == (1, REQUESTS, REQUESTS - 1)
    assert ended.output.count("torn or altered; skipped, to be made again; ") == 1
    assert Reported.of(project / "out") == expected


@pytest.mark.slow
def test_a_store_of_another_version_is_not_read(prepared, undisturbed, project):
    expected, _ = undisturbed
    prepared.run(project, *COMMAND)
    (shard,) = (project / ".titrate" / "store").iterdir()
    content = shard.read_bytes()
    end = content.index(b"\n") + 1
    head = encoded({"format": "titrate completions", "version": 99})
    shard.write_bytes(head + content[end:])
    ended = prepared.run(project, *COMMAND)
    assert summary(ended.output) == (1, REQUESTS, 0)
    assert ended.output.count("holds titrate completions, version 99, not ") == 1
    assert Reported.of(project / "out") == expected


@pytest.mark.slow
def test_two_runs_at_once_write_one_store(prepared, undisturbed, project, tmp_path_factory):
    """Another process runs the same sweep meanwhile, with a store that both share."""
    expected, _ = undisturbed
    store = tmp_path_factory.mktemp("shared") / "store"
    twin = make_project(tmp_path_factory.mktemp("twin"))
    arguments = (*COMMAND, f"--titrate-store={store}")
    started = [prepared.start(folder, *arguments) for folder in (project, twin)]
    assert [running.wait().status for running in started] == [0, 0]
    assert Reported.of(project / "out") == Reported.of(twin / "out") == expected
    assert 1 <= len(list(store.iterdir())) <= 2
    assert not (project / ".titrate" / "store").exists()
    third = prepared.run(project, *arguments)
    assert summary(third.output) == (0, REQUESTS, REQUESTS)
