"""What SLURM says of jobs: `squeue` and `scontrol`, and `sacct` where there is accounting.

A finished job is forgotten by the first two after some minutes (`MinJobAge`), and many clusters
have no accounting. A job of which nothing is known any more has ended; how, its task may have said.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import StoreError, TitrateError

WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})

_PATIENCE = 60  # seconds for which a busy controller is waited for
_AT_ONCE = 500  # jobs that one command names; command lines have an end
_FORGOTTEN = "Invalid job id"  # what squeue says where it knows none of the jobs
_AGAIN = "run the same command again where SLURM's commands are, and answer"


@dataclass(frozen=True)
class JobState:
    """A job's state in SLURM's words, where it runs or ran, and why it waits."""

    state: str
    node: str = ""
    reason: str = ""

    @property
    def alive(self) -> bool:
        """Whether it may still do something."""
        return self.state in WAITING | RUNNING


def job_states(jobs: Iterable[str]) -> dict[str, JobState]:
    """The states of jobs, such as 12 or 12_3; those that nothing is known of are not there.

    Raises:
        StoreError: SLURM is not here, or does not answer.
    """
    wanted = set(jobs)
    whole = sorted({job.partition("_")[0] for job in wanted}, key=int)
    found: dict[str, JobState] = {}
    for start in range(0, len(whole), _AT_ONCE):
        named = ",".join(whole[start : start + _AT_ONCE])
        found |= _in_queue(named)
        missing = {job.partition("_")[0] for job in wanted - found.keys()}
        if lost := missing & set(whole[start : start + _AT_ONCE]):
            found = _accounted(",".join(sorted(lost))) | found
    return {job: found[job] for job in wanted & found.keys()}


def raw_state(job: str) -> str:
    """The state of one job by its own number, an array's task as well; empty where unknown."""
    said = _said(["scontrol", "--oneliner", "show", "job", job])
    state = re.search(r"JobState=(\w+)", said)
    return "" if state is None else state[1]


def largest_array() -> int:
    """How many tasks an array may have (`MaxArraySize`); SLURM's default where it does not say."""
    said = _said(["scontrol", "show", "config"])
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", said)
    return int(found[1]) if found else 1001


def memory_of(job: str) -> str | None:
    """How much memory a job was given, such as 4G; None where that is not known."""
    said = _said(["scontrol", "--oneliner", "show", "job", job])
    found = re.search(r"MinMemoryNode=(\d+(?:\.\d+)?[KMGT])", said)
    return found[1] if found else None


def cancel(jobs: Iterable[str]) -> None:
    """Let jobs end, waiting ones at once; those that have ended are passed by.

    Raises:
        TitrateError: SLURM refuses it, as of jobs of another user, or does not answer.
    """
    named = sorted(jobs)
    for start in range(0, len(named), _AT_ONCE):
        _, why = _asked(["scancel", "--quiet", *named[start : start + _AT_ONCE]])
        if why:
            denied = "only the user who submitted the run can do that"
            raise TitrateError(f"{why}; {denied if 'denied' in why else _AGAIN}")


def _in_queue(named: str) -> dict[str, JobState]:
    command = ["squeue", "--all", "--array", "--noheader", "--states=all", f"--jobs={named}"]
    said, why = _asked([*command, "--format=%i|%T|%N|%r"])
    if why and _FORGOTTEN not in why:
        raise StoreError(f"{why}; {_AGAIN}")
    rows = (line.split("|") for line in said.splitlines())
    return {job: JobState(state, node, reason) for job, state, node, reason in rows}


def _accounted(named: str) -> dict[str, JobState]:
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--array", f"--jobs={named}"]
    said = _said([*command, "--format=JobID,State,NodeList"])
    rows = (line.split("|") for line in said.splitlines())
    # "CANCELLED by 1000" says who.
    return {job: JobState(state.partition(" ")[0], node) for job, state, node in rows}


def _said(command: Sequence[str]) -> str:
    """What a command of SLURM's prints; nothing where it fails, or is not there."""
    said, why = _asked(command)
    return "" if why else said


def _asked(command: Sequence[str]) -> tuple[str, str]:
    """What a command of SLURM's prints, and why it fails; nothing where it does not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except OSError:
        return "", f"{command[0]}: there is none on PATH"
    except subprocess.TimeoutExpired:
        return "", f"{command[0]}: no answer within {_PATIENCE} seconds"
    told = next(iter(done.stderr.splitlines()), "") or f"it ended with {done.returncode}"
    told = told.removeprefix(f"{command[0]}: error: ")
    return done.stdout, f"{command[0]}: {told}" if done.returncode else ""
