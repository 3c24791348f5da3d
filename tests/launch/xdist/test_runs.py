"""Runs with workers and shards against one undisturbed process; what dies costs only itself."""

from __future__ import annotations

import os
import pty
import random
import re
import signal
import termios

import psutil
import pytest

from tests.launch.xdist.runs import REQUESTS, Project, measured, statuses, wait_until
from tests.screen import screen, written

pytest.importorskip("xdist")


@pytest.fixture
def project(tmp_path):
    return Project.made(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory):
    """The report of one process that nobody disturbs."""
    return one_process(prepared, tmp_path_factory.mktemp("undisturbed"))


def one_process(prepared, folder, *options):
    project = Project.made(folder)
    ended = prepared.run(project.path, "benches", "--titrate-report=out", *options)
    assert ended.status == 0, ended.output
    return project.report("out")


# The same from any number of processes ------------------------------------------------------------


@pytest.mark.parametrize(
    ("started", "dist"),
    [("prepared", "load"), pytest.param("anew", "loadscope", marks=pytest.mark.slow)],
)
def test_two_workers_report_what_one_process_reports(project, prepared, tmp_path, started, dist):
    """Whatever --dist says; other tests beside the benches run as well."""
    workers = prepared.workers(2) if started == "prepared" else ("-n2",)
    few = ("--titrate-limit=2", "--titrate-set=sampling.max_new_tokens=8")
    alone = one_process(prepared, tmp_path / "alone", *few)
    requests = 2 * REQUESTS // 5
    (project.path / "benches" / "test_other.py").write_text("def test_other(): pass\n")
    done = project.run(
        *("benches", *workers, f"--dist={dist}", "--titrate-report=out", "-v", *few),
        CUDA_VISIBLE_DEVICES="7",
    )
    assert done.returncode == 0, done.stdout
    assert measured(project.report("out")) == measured(alone)
    assert "9 passed" in done.stdout
    assert f"2 model loads (gw0: 1, gw1: 1); {requests} requests, " in done.stdout
    assert "titrate: gw0: loading zoo/moe" in done.stdout
    assert "titrate: gw1: loading zoo/moe" in done.stdout
    assert f"titrate: 8/8 cases, {requests}/{requests} requests, " in done.stdout
    assert "@" not in done.stdout.replace("pass@1", ""), "node ids stay as they are"
    assert (project.path / "controller.txt").read_text() == "False 7", "no torch in the controller"
    assert (project.path / "gw1.txt").read_text() == "True 7", "without devices nothing is changed"


@pytest.mark.slow
def test_shards_merged_are_the_report_of_a_single_run(project, prepared, undisturbed):
    one = ("--titrate-shard=1/2", "--titrate-report=a", *prepared.workers(2))
    two = ("--titrate-shard=2/2", "--titrate-report=b", "--titrate-store=other")
    shards = [prepared.run(project.path, "benches", *options) for options in (one, two)]
    assert [ended.status for ended in shards] == [0, 0], shards[0].output + shards[1].output
    assert ["4 passed" in ended.output for ended in shards] == [True, True]
    judged, waiting = (project.report("a")[each] for each in ("gates", "unjudged"))
    assert len(judged) + len(waiting) == 1, "a shard judges the neutral cases that it has"
    assert all(gate["holds"] for gate in judged)
    assert project.report("a")["run"]["shard"]["index"] == 1
    from harness.runs.merge import merge

    merge([project.path / "b", project.path / "a"], project.path / "whole")
    assert measured(project.report("whole")) == measured(undisturbed)
    samples = [(project.path / name / "samples.jsonl").read_bytes() for name in ("a", "b", "whole")]
    assert sorted(samples[2].splitlines()) == sorted((samples[0] + samples[1]).splitlines())


@pytest.mark.slow
def test_two_runs_with_workers_use_one_store_at_once(project, prepared, undisturbed, tmp_path):
    """Neither loses a completion, and what both have made is found by a third."""
    other = Project.made(tmp_path / "other")
    arguments = (f"--titrate-store={tmp_path / 'shared'}", "--titrate-report=out")
    with (
        project.started("benches", *prepared.workers(2), *arguments) as one,
        other.started("benches", *prepared.workers(2), *arguments) as two,
    ):
        outputs = [process.communicate(timeout=300)[0] for process in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0), "".join(outputs)
    assert measured(project.report("out")) == measured(undisturbed)
    assert measured(other.report("out")) == measured(undisturbed)
    third = project.run("benches", *prepared.workers(2), *arguments)
    assert f"{REQUESTS} requests ({REQUESTS} stored)" in third.stdout
    assert "loading" not in third.stdout
    assert measured(project.report("out")) == measured(undisturbed)


@pytest.mark.slow
def test_a_full_disk_costs_workers_nothing_that_is_finished(project, prepared):
    """No file may grow beyond the limit: what cannot be kept fails, and a rerun goes on."""
    arguments = ("benches", "--titrate-limit=20", "--titrate-report=out")
    full = project.run(*arguments, *prepared.workers(2), limit=100_000)
    assert full.returncode == pytest.ExitCode.TESTS_FAILED, full.stdout
    assert "the run's records cannot be written: File too large; free some space" in full.stdout
    assert "Traceback" not in full.stdout
    assert "INTERNALERROR" not in full.stdout
    kept = project.stored()
    assert kept > 0
    again = project.run(*arguments, *prepared.workers(2))
    assert again.returncode == 0, again.stdout
    assert f"{4 * REQUESTS} requests ({4 * REQUESTS - (project.stored() - kept)} s" in again.stdout
    resumed = measured(project.report("out"))
    assert prepared.run(project.path, *arguments, "--titrate-fresh").status == 0
    assert resumed == measured(project.report("out"))


@pytest.mark.slow
def test_a_disk_that_is_full_from_the_start_stops_workers_before_a_model(project, prepared):
    full = project.run("benches", *prepared.workers(2), "--titrate-report=out", limit=10_000)
    assert full.returncode != 0
    assert full.stdout.count("cannot be written: File too large; free some space") == 1, full.stdout
    assert "loading" not in full.stdout
    assert not (project.path / "out").exists()


@pytest.mark.slow
def test_one_live_line_of_all_workers_on_a_real_terminal(project, prepared):
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (40, 120))
    arguments = ("benches", *prepared.workers(2), "--titrate-report=out")
    with project.started(*arguments, output=follower, TERM="xterm", NO_COLOR="1") as process:
        os.close(follower)
        text = written(leader)
        assert process.wait() == 0, text
    assert "titrate: gw0: loading zoo/moe" in text
    drawn = re.findall(r"titrate: (\d)/8 cases, (\d+)/50 requests, [\d,]+ tokens, ", text)
    assert drawn, "a terminal gets no plain lines"
    assert [int(done) for _, done in drawn] == sorted(int(done) for _, done in drawn)
    assert int(drawn[-1][1]) > 25, "all workers together"
    seen = screen(text)
    assert not [line for line in seen if line.startswith("titrate: ")], "it is gone in the end"
    assert "report: out/index.html" in seen


# What dies costs only itself ----------------------------------------------------------------------


def kill_at(project, process, prepared, moment, chosen=0):
    """Kill a worker when so many completions are stored; whether there was one to be killed."""
    if not wait_until(lambda: project.stored() >= moment and prepared.alive(), process):
        return False
    alive = prepared.alive()
    if alive:
        alive[chosen % len(alive)].kill()
    return bool(alive)


@pytest.mark.slow
def test_workers_killed_at_random_moments(project, prepared, undisturbed):
    """Four in one run, each replaced; then a rerun on another number of workers.

    A case over which a worker died is not tried again, so that late moments may never come.
    """
    draw = random.Random(4)
    moments = sorted((draw.randrange(1, REQUESTS // 2), draw.randrange(2)) for _ in range(4))
    arguments = ("benches", "--titrate-report=out")
    with project.started(*arguments, *prepared.workers(2)) as process:
        killed = sum(kill_at(project, process, prepared, *moment) for moment in moments)
        output, _ = process.communicate(timeout=300)
    assert killed == 4, output
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert output.count("node down: Not properly terminated") == 4
    first = project.report("out")
    lost = {id_ for id_, status in statuses(first).items() if status != "complete"}
    expected = {case["id"]: case for case in measured(undisturbed)["cases"]}
    for case in measured(first)["cases"]:
        if case["id"] in lost:
            assert case["status"] == "incomplete"
        elif case["baseline"] not in lost:
            # The measured usage is told by the first case that is left.
            assert case | {"usage": None} == expected[case["id"]] | {"usage": None}
    died = [case["error"] for case in first["cases"] if "died while" in (case["error"] or "")]
    assert len(died) == output.count("crashed while running") > 0, output
    before = project.stored()
    again = project.run(*arguments, *prepared.workers(1))
    assert again.returncode == 0, again.stdout
    assert measured(project.report("out")) == measured(undisturbed)
    assert f"{REQUESTS} requests ({REQUESTS - (project.stored() - before)} stored)" in again.stdout


@pytest.mark.slow
def test_a_controller_killed_at_random_moments(project, prepared, undisturbed):
    """Six times, on changing numbers of workers. Workers whose controller is dead end, too."""
    draw = random.Random(5)
    for number, moment in enumerate(sorted(draw.sample(range(REQUESTS - 5), 6))):
        arguments = ("benches", "--titrate-report=out", *prepared.workers(1 + number % 2))
        with project.started(*arguments) as process:
            assert wait_until(lambda: project.stored() >= moment and prepared.alive(), process)  # noqa: B023
            left = [
                each
                for worker in prepared.alive()
                for each in (worker, *worker.children(recursive=True))
            ]
            process.kill()
            process.wait()
            # execnet alone lets a worker go on for 5 s at least, and mostly 15 s.
            _, alive = psutil.wait_procs(left, timeout=4)
            assert not alive, "a worker, or a process of its own, goes on without its controller"
        assert not (project.path / "out").exists()
    before = project.stored()
    done = project.run("benches", "--titrate-report=out", *prepared.workers(2))
    assert done.returncode == 0, done.stdout
    assert measured(project.report("out")) == measured(undisturbed)
    assert f"{REQUESTS} requests ({before} stored)" in done.stdout


@pytest.mark.slow
def test_a_sweep_killed_twice_reports_what_an_undisturbed_one_does(project, prepared, undisturbed):
    """First everything at once, as a machine that loses power; then a worker that stays dead."""
    arguments = ("benches", "--titrate-report=out")
    with project.started(*arguments, *prepared.workers(2)) as process:
        assert wait_until(lambda: project.stored() >= 7, process)
        process.kill()
        for worker in prepared.alive():
            worker.kill()
    with project.started(*arguments, *prepared.workers(2), "--max-worker-restart=0") as process:
        assert kill_at(project, process, prepared, 20)
        output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "worker restarting disabled" in output
    assert "incomplete" in statuses(project.report("out")).values()
    done = prepared.run(project.path, *arguments)
    assert done.status == 0, done.output
    assert measured(project.report("out")) == measured(undisturbed)


@pytest.mark.slow
def test_an_interrupted_run_reports_what_is_there(project, prepared, undisturbed):
    """Ctrl-C reaches the controller and its workers alike."""
    with project.started("benches", "--titrate-report=out", *prepared.workers(2)) as process:
        assert wait_until(lambda: project.stored() >= 25, process)
        for each in [*prepared.alive(), process]:
            each.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    found = statuses(project.report("out"))
    assert found.keys() == statuses(undisturbed).keys()
    assert "incomplete" in found.values()
    expected = {case["id"]: case for case in measured(undisturbed)["cases"]}
    complete = [case for case in measured(project.report("out"))["cases"] if case["metrics"]]
    for case in complete:
        if case["versus_baseline"]:  # and the usage by the first case of each experiment
            assert case | {"usage": None} == expected[case["id"]] | {"usage": None}
