"""A program passes only by running to its end; whatever else happens is a failure that says why."""

import os
import queue
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import SandboxError
from harness.sandbox import Verdict, check, process


def verdict(program, timeout=3.0):
    (only,) = check([program], timeout=timeout)
    return only


def test_a_program_that_ends_passes():
    assert verdict("assert 1 + 1 == 2") == Verdict(passed=True, detail="passed")


def test_nothing_to_check_starts_nothing():
    assert check([]) == []


@pytest.mark.parametrize(
    ("program", "detail"),
    [
        ("assert False, 'why'", "AssertionError: why"),
        ("def", "SyntaxError"),
        ("import os; os._exit(0)", "exited without finishing"),
        ("import sys; sys.exit(0)", "exited without finishing"),
        ("raise SystemExit", "exited without finishing"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("x = bytearray(3 << 30)", "MemoryError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("open('big', 'wb').write(bytes(1 << 25))", "OSError"),
        ("class Mute(Exception):\n  def __str__(self): raise ValueError\nraise Mute", "Mute"),
        ("raise ValueError('\\ud800')", "ValueError: ?"),
        ("import os\nos.write(3, b'passed')\nos._exit(0)", "passed"),
    ],
)
def test_what_stops_a_program_is_said(program, detail):
    found = verdict(program)
    assert not found.passed
    assert detail in found.detail


@pytest.mark.parametrize("program", ["while True: pass", "import time; time.sleep(60)"])
def test_the_time_limit_is_wall_clock(program):
    start = time.perf_counter()
    assert verdict(program, timeout=0.3) == Verdict(passed=False, detail="timed out")
    assert time.perf_counter() - start < 2.0


def test_descendants_of_a_program_that_timed_out_are_killed(tmp_path):
    alive = tmp_path / "alive"
    program = (
        "import os, time\n"
        "os.fork()\n"  # both the child and its child go on
        f"while True:\n  open({str(alive)!r}, 'a').write('x')\n  time.sleep(0.02)\n"
    )
    verdict(program, timeout=0.3)
    before = alive.stat().st_size
    time.sleep(0.1)
    assert alive.stat().st_size == before


def test_programs_share_nothing():
    mark = "open('mark', 'x').close(); import builtins; builtins.mark = 1"
    assert all(found.passed for found in check([mark] * 8, workers=1))


def test_the_environment_and_the_streams_are_not_the_callers(monkeypatch, capfd):
    monkeypatch.setenv("SECRET", "1")
    assert verdict("import os; assert 'SECRET' not in os.environ; print('noise')").passed
    assert verdict("import sys; assert sys.stdin.read() == ''").passed
    assert capfd.readouterr() == ("", "")


def test_the_interpreter_is_warm_and_free_of_heavy_imports():
    heavy = "import sys; assert not {'torch', 'numpy', 'harness', 'pydantic'} & set(sys.modules)"
    assert verdict(heavy).passed


def test_verdicts_come_in_order():
    found = check([f"assert {index} % 3" for index in range(30)], workers=4)
    assert [verdict.passed for verdict in found] == [index % 3 != 0 for index in range(30)]


def test_a_lost_interpreter_fails_one_program_and_is_replaced():
    found = check(["import os; os.kill(os.getppid(), 9)", "pass", "pass"], workers=1)
    assert [verdict.passed for verdict in found] == [False, True, True]
    assert found[0].detail == "took its interpreter down"


def test_a_machine_that_cannot_start_an_interpreter_is_an_error_and_not_a_verdict(
    monkeypatch, tmp_path
):
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module")
    monkeypatch.setattr(process, "_PROGRAM", broken)
    monkeypatch.setattr(process, "_idle", queue.SimpleQueue())
    with pytest.raises(SandboxError, match=r"broken\.py ended or hung before its first check"):
        check(["pass"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with pytest.raises(SandboxError, match="needs a POSIX system"):
        check(["pass"])


def test_a_forked_copy_leaves_its_parents_interpreters_alone():
    assert verdict("pass").passed
    if (child := os.fork()) == 0:
        passed = check(["pass"])[0].passed
        process._close_idle()
        os._exit(0 if passed and process._of_parents else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert verdict("pass").passed


def test_hashing_is_the_same_in_every_interpreter():
    program = "assert False, hash('titrate')"
    assert verdict(program) == verdict(program)
    assert len({found.detail for found in check([program] * 8, workers=4)}) == 1


def test_interpreters_end_with_the_process_that_started_them():
    source = (
        "from harness.sandbox import check, process\n"
        "check(['pass'])\n"
        "interpreter = process._idle.get()\n"
        "process._idle.put(interpreter)\n"
        "print(interpreter._process.pid)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    deadline = time.monotonic() + 5
    while Path(f"/proc/{int(child.stdout)}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
