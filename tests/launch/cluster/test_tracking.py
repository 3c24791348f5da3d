"""Where a submitted run stands, from its folder and what the cluster says of its jobs."""

from __future__ import annotations

import os
import platform
import stat
from datetime import UTC, datetime

import pytest

from harness.errors import StoreError
from harness.launch.board import Pin
from harness.launch.cluster.clusters import jobs_below, logs
from harness.launch.cluster.outcomes import TaskOutcome
from harness.launch.cluster.resubmitting import cancel, resubmit
from harness.launch.cluster.submission import (
    ArrayTask,
    Given,
    Submission,
    TaskGroup,
    found,
    given,
    note,
    note_place,
)
from harness.launch.cluster.tracking import described, last_line, status
from harness.resolve.progress import Counts
from harness.spec.resources import Resources

TASKS = (
    ArrayTask("first-00000", ("a", "b"), first=True),
    ArrayTask("00000", ("a",)),
    ArrayTask("00001", ("b",)),
)

REFUSES = '#!/bin/sh\necho NAME "$@" >> "$(dirname "$0")/asked"\nexit 1\n'

# A queue as a file: a line per job, as `squeue` and `scontrol` are asked for it. What really runs
# is tested on a real one (test_slurm.py); this one has ends that a single node cannot have.
SQUEUE = '#!/bin/sh\ncat "$(dirname "$0")/queue"\n'
SBATCH = '#!/bin/sh\ncp "$1" "$(dirname "$0")/script.$$"\necho Submitted batch job $$\n'


@pytest.fixture
def submission(tmp_path, monkeypatch) -> Submission:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    code = tmp_path / "code"
    code.mkdir()
    groups = (TaskGroup("zoo/moe", Resources(memory="3G"), TASKS),)
    run = Submission(
        "20260101-000000-abcdef", "slurm", str(tmp_path), "/s", None, str(code), {}, {}, groups
    )
    run.write()
    (run.directory / "run.json").write_text("{}")
    return run


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Say what is in the queue."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {"squeue": SQUEUE, "sbatch": SBATCH, "srun": SQUEUE}.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(stat.S_IRWXU)
    for name, ends in {"scontrol": 1, "sacct": 1, "scancel": 0}.items():
        (bin_ / name).write_text(
            f'#!/bin/sh\necho {name} "$@" >> "$(dirname "$0")/asked"\nexit {ends}\n'
        )
        (bin_ / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")

    def say(*jobs: str) -> None:
        (bin_ / "queue").write_text("".join(f"{job}\n" for job in jobs))

    say()
    say.folder = bin_
    return say


def outcome(job: str, **fields) -> TaskOutcome:
    told = {"host": "n1", "pid": 1, "since": datetime.now(UTC).isoformat(), "state": "running"}
    return TaskOutcome("p-1", job, **{**told, **fields})


def test_a_submission_is_read_as_it_was_written(submission):
    assert Submission.read(submission.directory) == submission
    assert submission.tasks["00001"] == TASKS[2]


def test_states_are_those_of_the_queue_until_a_task_has_said_that_it_is_done(submission, queue):
    note(submission.directory, Given({"first-00000": "7", "00000": "8_0", "00001": "8_1"}, "n0"))
    queue("7|RUNNING|n1|None", "8_0|PENDING||Dependency", "8_1|PENDING||Dependency")
    now = status(submission)
    assert [task.state for task in now.tasks] == ["running", "waiting", "waiting"]
    assert now.tasks[1].why == "Dependency"
    assert not now.ended
    assert now.merge.state == "not submitted"
    pin = Pin(submission.directory, "p-1")
    pin.update(Counts(cases_done=1, cases_total=1, tokens=30, seconds=2.0))
    outcome("8_0", state="done").write(submission.directory, "00000")
    queue("7|COMPLETED|n1|None", "8_0|COMPLETED|n1|None", "8_1|FAILED|n1|None")
    now = status(submission)
    # Nobody has said how 7 and 8_1 ended, and they have no log.
    assert [task.state for task in now.tasks] == ["failed", "done", "failed"]
    assert described(now)["tasks"][1]["tokens_per_second"] == 15.0


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("TIMEOUT", "timed out"),
        ("OUT_OF_MEMORY", "out of memory"),
        ("NODE_FAIL", "node failed"),
        ("CANCELLED", "cancelled"),
    ],
)
def test_how_a_job_ended_is_said_in_words_with_the_last_line_of_its_log(
    submission, queue, state, told
):
    note(submission.directory, Given({"00000": "8_0"}, "n0"))
    outcome("8_0").write(submission.directory, "00000")
    queue(f"8_0|{state}|n1|None")
    jobs_below(submission.directory).mkdir()
    logs(submission.directory, "8_0")[0].write_text("what happened\nsrun: error: n1: task 0\n\n")
    (task,) = [task for task in status(submission).lacking if task.name == "00000"]
    assert (task.state, task.why, task.node) == (told, "what happened", "n1")


@pytest.mark.parametrize(
    "line",
    [
        "slurmstepd-n1: error: Detected 1 oom-kill event(s) in StepId=8.0. Some of your processes",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=8.0. Some of the step tasks have",
        "srun: error: n1: task 0: Out Of Memory",
    ],
)
def test_a_step_without_memory_is_told_from_its_log(submission, queue, line):
    note(submission.directory, Given({"00000": "8_0"}, "n0"))
    outcome("8_0").write(submission.directory, "00000")
    queue("8_0|FAILED|n1|None")
    jobs_below(submission.directory).mkdir()
    logs(submission.directory, "8_0")[0].write_text(f"loading\n{line}\nsrun: error: n1: exit\n")
    (task,) = [task for task in status(submission).lacking if task.name == "00000"]
    assert task.state == "out of memory"


def test_a_job_that_nothing_is_known_of_has_ended(submission, queue):
    note(submission.directory, Given({"00000": "8_0", "00001": "8_1"}, "n0"))
    outcome("8_0", state="failed", why="no space left").write(submission.directory, "00000")
    first, own, other = status(submission).lacking
    assert (first.state, own.state, own.why) == ("not submitted", "failed", "no space left")
    assert other.why == "it died without a word"
    asked = (queue.folder / "asked").read_text()
    assert asked.startswith("sacct ")  # where there is accounting, it knows


def test_what_ran_out_of_memory_gets_twice_as_much_every_time(submission, queue):
    pytest.importorskip("submitit")
    everything = {task.name: f"8_{at}" for at, task in enumerate(TASKS)}
    note(submission.directory, Given(everything, "n0"))
    for name in ("first-00000", "00001"):
        outcome(everything[name], state="done").write(submission.directory, name)
    for size in ("6144M", "12288M"):
        job = dict(kv for line in given(submission.directory) for kv in line.jobs.items())["00000"]
        queue(f"{job}|OUT_OF_MEMORY|n1|None")
        assert resubmit(submission) == (["00000"], True)
        scripts = sorted(queue.folder.glob("script.*"), key=os.path.getmtime)[-2:]
        task, merge = (script.read_text() for script in scripts)
        assert f"#SBATCH --mem={size}" in task
        assert "#SBATCH --dependency=afterany:" in merge
    assert list(given(submission.directory))[-1].memory == {"00000": "12288M"}


def test_what_was_cancelled_stays_so_when_the_queue_has_forgotten_it(submission, queue):
    note(submission.directory, Given({"00000": "8_0", "merge": "9"}, "n0"))
    queue("8_0|RUNNING|n1|None", "9|PENDING||Dependency")
    assert cancel(submission) == ["00000"]
    assert (queue.folder / "asked").read_text().splitlines()[-1] == "scancel --quiet 8_0 9"
    queue()
    assert [task.state for task in status(submission).tasks][1] == "cancelled"


def test_processes_of_another_machine_cannot_be_asked_for(submission, tmp_path):
    groups = submission.groups
    there = Submission("local-run", "local", str(tmp_path), "/s", None, "/c", {}, {}, groups)
    there.write()
    note(there.directory, Given({"00000": "1"}, f"not-{platform.node()}"))
    with pytest.raises(StoreError, match=r"its tasks are processes of not-.*; ask there"):
        status(there)


def test_a_run_is_found_by_its_id_from_anywhere(submission, tmp_path, monkeypatch):
    deep = tmp_path / "some" / "folder"
    deep.mkdir(parents=True)
    assert found(submission.run, deep) == submission.directory
    elsewhere = tmp_path.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    with pytest.raises(StoreError, match="no such run; none was submitted from here"):
        found(submission.run, elsewhere)
    note_place(submission)
    assert found(submission.run, elsewhere) == submission.directory
    with pytest.raises(StoreError, match=rf"did you mean {submission.run}\?"):
        found("20260101-000000-abcdeg", elsewhere)


def test_the_last_line_of_an_empty_log_is_that_of_the_next(tmp_path):
    (tmp_path / "err").write_text(
        "\nsrun: error: Killed\nsrun: Force Terminated\nsubmitit INFO (now) - begun\n"
    )
    (tmp_path / "out").write_text("first\nlast\n")
    logs = [tmp_path / name for name in ("err", "gone", "out")]
    assert last_line(logs) == "last"
    assert last_line(logs[:2]) == "srun: error: Killed"
