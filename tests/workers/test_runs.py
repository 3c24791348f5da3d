"""Runs with workers and shards against one undisturbed process; what dies costs only itself."""

from __future__ import annotations

import os
import random
import signal

import psutil
import pytest

from .runs import REQUESTS, Project, measured, statuses, wait_until, workers_of

pytest.importorskip("xdist")


@pytest.fixture
def project(tmp_path):
    return Project.made(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The report of one process that nobody disturbs."""
    project = Project.made(tmp_path_factory.mktemp("undisturbed"))
    done = project.run("benches", "-n0", "--titrate-report=out")
    assert done.returncode == 0, done.stdout
    return project.report("out")


# The same from any number of processes ------------------------------------------------------------


def test_one_worker_reports_what_one_process_reports(project, undisturbed):
    done = project.run("specs/small.yaml", "-nauto", "--titrate-report=out", "-v")
    assert done.returncode == 0, done.stdout
    assert "1 model load (gw0: 1)" in done.stdout
    found, expected = measured(project.report("out")), measured(undisturbed)
    for case in [*found["cases"], *expected["cases"]]:
        case.pop("nodeid")  # another file was named
    assert found == expected


def test_two_workers_report_what_one_process_reports(project, undisturbed):
    """Whatever --dist says; other tests beside the benches run as well."""
    (project.path / "benches" / "test_other.py").write_text("def test_other(): pass\n")
    done = project.run(
        "benches", "-n2", "--dist=loadscope", "--titrate-report=out", "-v", CUDA_VISIBLE_DEVICES="7"
    )
    assert done.returncode == 0, done.stdout
    assert measured(project.report("out")) == measured(undisturbed)
    assert "9 passed" in done.stdout
    assert f"2 model loads (gw0: 1, gw1: 1); {REQUESTS} requests, " in done.stdout
    assert "titrate: gw0: loading zoo/moe" in done.stdout
    assert "titrate: gw1: loading zoo/moe" in done.stdout
    assert f"titrate: 8/8 cases, {REQUESTS}/{REQUESTS} requests, " in done.stdout
    assert "@" not in done.stdout.replace("pass@1", ""), "node ids stay as they are"
    assert (project.path / "controller.txt").read_text() == "False 7", "no torch in the controller"
    assert (project.path / "gw1.txt").read_text() == "True 7", "without devices nothing is changed"


def test_shards_merged_are_the_report_of_a_single_run(project, undisturbed):
    shards = [
        project.run("benches", "--titrate-shard=1/2", "--titrate-report=a", "-n2"),
        project.run(
            "benches", "--titrate-shard=2/2", "--titrate-report=b", "--titrate-store=other"
        ),
    ]
    assert [done.returncode for done in shards] == [0, 0], shards[0].stdout + shards[1].stdout
    assert ["4 passed, 4 deselected" in done.stdout for done in shards] == [True, True]
    assert project.report("a")["gates"] == []
    assert project.report("a")["run"]["shard"]["index"] == 1
    from harness.merge import merge

    merge([project.path / "b", project.path / "a"], project.path / "whole")
    assert measured(project.report("whole")) == measured(undisturbed)
    samples = [(project.path / name / "samples.jsonl").read_bytes() for name in ("a", "b", "whole")]
    assert sorted(samples[2].splitlines()) == sorted((samples[0] + samples[1]).splitlines())


# What dies costs only itself ----------------------------------------------------------------------


def kill_workers(project, process, moments):
    """Kill a worker whenever so many completions are stored; returns how many were killed."""
    killed = 0
    for moment, chosen in moments:
        if not wait_until(lambda: project.stored() >= moment and workers_of(process), process):  # noqa: B023
            break
        workers = workers_of(process)
        if workers:
            workers[chosen % len(workers)].send_signal(signal.SIGKILL)
            killed += 1
    return killed


def test_workers_killed_at_random_moments(project, undisturbed):
    """Five in one run, each replaced; then a rerun on another number of workers."""
    draw = random.Random(4)
    moments = sorted((draw.randrange(REQUESTS - 10), draw.randrange(2)) for _ in range(5))
    with project.started("benches", "-n2", "--titrate-report=out") as process:
        killed = kill_workers(project, process, moments)
        output, _ = process.communicate(timeout=300)
    assert killed == 5
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    first = project.report("out")
    lost = {id_ for id_, status in statuses(first).items() if status != "complete"}
    expected = {case["id"]: case for case in measured(undisturbed)["cases"]}
    for case in measured(first)["cases"]:
        if case["id"] in lost:
            assert case["status"] == "incomplete"
        elif case["baseline"] not in lost:
            assert case == expected[case["id"]]
    died = [case["error"] for case in first["cases"] if "died while" in (case["error"] or "")]
    assert 1 <= len(died) <= 5, output
    assert "crashed while running" in output
    before = project.stored()
    again = project.run("benches", "-n1", "--titrate-report=out")
    assert again.returncode == 0, again.stdout
    assert measured(project.report("out")) == measured(undisturbed)
    assert project.stored() <= max(before, REQUESTS) + 4, "only what was missing was made"


def test_a_controller_killed_at_random_moments(project, undisturbed):
    """Five times, on changing numbers of workers. Workers whose controller is dead end, too."""
    draw = random.Random(5)
    moments = sorted(draw.sample(range(REQUESTS - 5), 5))
    for number, moment in enumerate(moments):
        workers = f"-n{1 + number % 2}"
        with project.started("benches", workers, "--titrate-report=out") as process:
            assert wait_until(lambda: project.stored() >= moment and workers_of(process), process)  # noqa: B023
            left = workers_of(process)
            process.kill()
            process.wait()
            _, alive = psutil.wait_procs(left, timeout=60)
            assert not alive, "a worker goes on without its controller"
        assert not (project.path / "out").exists()
    before = project.stored()
    done = project.run("benches", "-n2", "--titrate-report=out")
    assert done.returncode == 0, done.stdout
    assert measured(project.report("out")) == measured(undisturbed)
    assert f"({before} stored)" in done.stdout or "stored)" in done.stdout


def test_a_sweep_killed_twice_reports_what_an_undisturbed_one_does(project, undisturbed):
    """First everything at once, as a machine that loses power; then a worker that stays dead."""
    with project.started("benches", "-n2") as process:
        assert wait_until(lambda: project.stored() >= 7, process)
        os.killpg(process.pid, signal.SIGKILL)
        for worker in workers_of(process):
            worker.kill()
    arguments = ("benches", "-n2", "--max-worker-restart=0", "--titrate-report=out")
    with project.started(*arguments) as process:
        assert kill_workers(project, process, [(20, 0)]) == 1
        output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "worker restarting disabled" in output
    assert "incomplete" in statuses(project.report("out")).values()
    done = project.run("benches", "-n0", "--titrate-report=out")
    assert done.returncode == 0, done.stdout
    assert measured(project.report("out")) == measured(undisturbed)


def test_an_interrupted_run_reports_what_is_there(project, undisturbed):
    with project.started("benches", "-n2", "--titrate-report=out") as process:
        assert wait_until(lambda: project.stored() >= 25, process)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    found = statuses(project.report("out"))
    assert found.keys() == statuses(undisturbed).keys()
    assert "incomplete" in found.values()
    done = project.run("benches", "-n2", "--titrate-report=out")
    assert done.returncode == 0, done.stdout
    assert measured(project.report("out")) == measured(undisturbed)
