"""Many checks at a time, none left behind, whatever happens to the process that asked for them."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from harness.errors import SandboxError
from harness.sandbox import Check, Level, Outcome, Verdict, check, choose, interpreter, pool
from harness.sandbox.interpreter import LostError, WarmInterpreter
from harness.sandbox.limits import Time

ROOT = Path(__file__).parents[2]
PROMPT = "def f(x):\n"
TESTS = "def check(f):\n    assert f(2) == 4\n"
RIGHT = Check(PROMPT, "    return 2 * x\n", TESTS, "f")
WRONG = Check(PROMPT, "    return x\n", TESTS, "f")
ENDLESS = Check(PROMPT, "    while True: pass\n", TESTS, "f")


def told(value):
    """A check that ends in an exception with the value of an expression in the candidate."""
    return Check(PROMPT, f"    raise ValueError({value})\n", TESTS, "f")


def gone(processes, seconds=20):
    """Whether all processes end within a time."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def host(source, **options):
    """Another process of the harness that prints when it has come to the interesting point."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


def test_nothing_to_check_starts_nothing(isolation):
    assert check([], isolation) == []


def test_verdicts_come_in_order(isolation):
    mixed = [WRONG if index % 3 else RIGHT for index in range(30)]
    verdicts = check(mixed, isolation, workers=4)
    assert [verdict.passed for verdict in verdicts] == [index % 3 == 0 for index in range(30)]


@pytest.mark.parametrize("part", ["prompt", "completion", "tests"])
def test_a_check_may_be_larger_than_a_sockets_buffer(isolation, part):
    """The judge reads the tests only after the candidate's fork; until then they have to wait."""
    text = getattr(RIGHT, part)
    comment = f"# {'x' * (2 << 20)}\n"
    large = RIGHT._replace(**{part: comment + text if part == "prompt" else text + comment})
    assert [str(verdict) for verdict in check([large], isolation)] == ["passed"]


def test_checks_share_nothing(isolation):
    mark = Check(
        PROMPT,
        "    import builtins, os\n    assert not os.listdir('/tmp' if os.getpid() == 1 else '.')\n"
        "    open('mark', 'x').close()\n    os.mkdir('d')\n    builtins.mark = mark = 1\n"
        "    return 2 * x\n",
        TESTS,
        "f",
    )
    assert [str(verdict) for verdict in check([mark] * 6, isolation, workers=1)] == ["passed"] * 6


def test_nothing_of_the_harness_is_inherited(isolation, monkeypatch, capfd):
    monkeypatch.setenv("SECRET", "1")
    pool._close()  # the next interpreter starts with that environment around
    inside = "[*os.environ], sys.stdin.read(), 'torch' in sys.modules, 'harness' in sys.modules"
    (verdict,) = check([told(f"(print('noise'), [{inside}][1:], 'SECRET' in os.environ)")._replace(
        prompt="import os, sys\n" + PROMPT
    )], isolation)  # fmt: skip
    assert verdict.detail == "ValueError: (None, ['', False, False], False)"
    assert capfd.readouterr() == ("", "")


def test_hashing_is_the_same_in_every_interpreter(isolation):
    found = check([told("hash('titrate')")] * 8, isolation, workers=4)
    assert len(set(found)) == 1
    assert check([told("hash('titrate')")], isolation) == found[:1]


ASLEEP = ENDLESS._replace(completion="    import time\n    time.sleep(600)\n")
NAP = RIGHT._replace(completion="    import time\n    time.sleep(0.5)\n    return 2 * x\n")


def test_the_time_limit_is_processor_time_and_each_checks_own(isolation):
    verdicts = check([ENDLESS, RIGHT, NAP], isolation, timeout=0.2, asleep=30.0, workers=2)
    assert [str(verdict) for verdict in verdicts] == ["timed out", "passed", "passed"]


def test_what_sleeps_ends_by_the_wall_clock_and_is_told_from_what_computes(isolation, monkeypatch):
    """It is repeated alone, because it might be the machine that let it wait."""
    runs = []
    run = pool._Pool.run
    monkeypatch.setattr(
        pool._Pool, "run", lambda self, *rest: runs.append(rest[0]) or run(self, *rest)
    )
    verdicts = check([ASLEEP, ENDLESS], isolation, timeout=0.2, asleep=0.4, workers=2)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.TIMED_OUT] * 2
    assert [verdict.stalled for verdict in verdicts] == [True, False]
    assert re.fullmatch(
        r"0 s of wall clock with 0\.0\d s of processor time, alone", verdicts[0].detail
    )
    assert [runs.count(each) for each in (ASLEEP, ENDLESS)] == [2, 1]


def test_threads_share_the_processor_time_of_their_check(isolation):
    threads = (
        "    import threading\n    def spin():\n        while True: pass\n"
        "    for _ in range(3): threading.Thread(target=spin).start()\n    spin()\n"
    )
    busy = ENDLESS._replace(completion=threads)
    assert [str(each) for each in check([busy], isolation, timeout=0.2)] == ["timed out"]


def test_a_check_that_stalled_beside_others_is_repeated_alone(isolation, monkeypatch):
    """The first run of each check is made slow; alone, the honest ones are as fast as ever."""
    seen, together, most = [], [], []
    run = pool._Pool.run

    def slow_beside_others(self, check_, level, limits):
        together.append(check_)
        most.append(len(together))
        try:
            if check_ not in seen:
                seen.append(check_)
                time.sleep(0.3)  # until all have begun
                return Verdict(Outcome.TIMED_OUT, stalled=True)
            assert len(together) == 1
            return run(self, check_, level, limits)
        finally:
            together.remove(check_)

    monkeypatch.setattr(pool._Pool, "run", slow_beside_others)
    others = [RIGHT._replace(completion=f"    return {n} * x\n") for n in (2, 3, 4)]
    verdicts = check(others, isolation, workers=3)
    assert [verdict.passed for verdict in verdicts] == [True, False, False]
    assert Outcome.TIMED_OUT not in {verdict.outcome for verdict in verdicts}
    assert max(most) > 1


def test_a_completion_without_end_is_wrong_and_no_error(isolation):
    huge = RIGHT._replace(completion=f"    return {'1' * (9 << 20)}\n")
    (verdict,) = check([huge], isolation)
    assert str(verdict).startswith("exception: a completion of ")


def test_a_lost_interpreter_is_replaced_and_its_check_repeated(isolation):
    check([RIGHT], isolation)
    lost = pool._pool.idle[isolation.level][-1]
    for process in psutil.Process(lost.process_id).children(recursive=True):
        process.kill()
    lost._process.kill()
    lost._process.wait()
    assert [verdict.passed for verdict in check([RIGHT, WRONG], isolation)] == [True, False]
    assert lost not in pool._pool.idle[isolation.level]


def test_threads_may_check_at_the_same_time(isolation):
    found = {}

    def work(name):
        found[name] = check([RIGHT, WRONG] * 4, isolation, workers=2)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[verdict.passed for verdict in found[name]] for name in range(3)] == [
        [True, False] * 4
    ] * 3


def test_a_forked_copy_leaves_its_parents_interpreters_alone(isolation):
    assert check([RIGHT], isolation)[0].passed
    if (child := os.fork()) == 0:
        passed = check([RIGHT], isolation)[0].passed
        pool._close()
        os._exit(0 if passed and pool._of_parents else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert check([RIGHT], isolation)[0].passed


def test_checks_leave_no_process_descriptor_or_mount(isolation):
    def state():
        me = psutil.Process()
        mounts = Path("/proc/self/mounts").read_text() if sys.platform == "linux" else ""
        return (
            sorted(process.pid for process in me.children(recursive=True)),
            me.num_fds(),
            mounts,
        )

    check([RIGHT] * 4, isolation, workers=2)
    before = state()
    mixed = [RIGHT, WRONG, RIGHT._replace(completion="    import os\n    os._exit(0)\n")]
    check(mixed * 60, isolation, workers=2)
    assert state() == before


def test_interpreters_end_with_the_process_that_started_them(isolation):
    with host("""
        from harness.sandbox import Check, check, choose
        from harness.sandbox import pool
        right = Check('def f():\\n', '    return 1\\n', 'def check(f):\\n    assert f()\\n', 'f')
        assert check([right], choose())[0].passed
        print('ready', flush=True)
        input()
    """, stdin=subprocess.PIPE) as started:  # fmt: skip
        assert started.stdout.readline() == "ready\n"
        processes = psutil.Process(started.pid).children(recursive=True)
        assert processes
        started.stdin.write("\n")
        started.stdin.flush()
        assert started.wait(60) == 0
        assert started.stderr.read() == ""
    assert gone(processes)


BUSY = """
    import os, threading, time
    from harness.sandbox import Check, check, choose
    busy = Check('def f():\\n', '    while True: pass\\n', 'def check(f):\\n    f()\\n', 'f')
    found = choose()
    threading.Timer(1.0, lambda: print('ready', flush=True)).start()
    check([busy] * 4, found, timeout=SECONDS, workers=2)
"""


def test_a_host_that_is_killed_leaves_no_process(isolation):
    with host(BUSY.replace("SECONDS", "300")) as started:
        assert started.stdout.readline() == "ready\n"
        processes = psutil.Process(started.pid).children(recursive=True)
        assert len(processes) >= 2 * 3  # interpreter, judge and candidate of two checks
        started.kill()
    assert gone(processes)


def test_ctrl_c_ends_a_host_after_the_checks_that_run(isolation):
    with host(BUSY.replace("SECONDS", "1.2"), start_new_session=True) as started:
        assert started.stdout.readline() == "ready\n"
        processes = psutil.Process(started.pid).children(recursive=True)
        os.killpg(started.pid, signal.SIGINT)
        _, complaint = started.communicate(timeout=60)
        assert complaint.rstrip().endswith("KeyboardInterrupt")
        assert started.returncode != 0
    assert gone(processes)


def test_workers_of_xdist_check_side_by_side(isolation, pytester):
    pytester.makepyfile("""
        import pytest
        from harness.sandbox import Check, check, choose

        @pytest.mark.parametrize("number", range(6))
        def test_one(number):
            body = f"    return {number}\\n"
            tests = f"def check(f):\\n    assert f() == {number}\\n"
            verdicts = check([Check("def f():\\n", body, tests, "f")] * 3, choose())
            assert [str(verdict) for verdict in verdicts] == ["passed"] * 3
    """)
    pytester.runpytest_subprocess("-n2", "-p", "no:cacheprovider").assert_outcomes(passed=6)


def test_an_interpreter_that_cannot_start_is_an_error_and_not_a_verdict(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with pytest.raises(SandboxError, match="missing: No such file or directory"):
        WarmInterpreter(Level.PROCESS)
    monkeypatch.undo()
    start = [sys.executable, "-c", "raise RuntimeError('broken')"]
    monkeypatch.setattr(interpreter, "command", lambda *_: start)
    with pytest.raises(SandboxError, match=r"^RuntimeError: broken$"):
        WarmInterpreter(Level.PROCESS)


def test_a_check_that_was_lost_is_not_a_verdict(isolation):
    lost = WarmInterpreter(isolation.level)
    for process in psutil.Process(lost.process_id).children(recursive=True):
        process.kill()
    lost._process.kill()
    with pytest.raises(LostError):
        lost.check(RIGHT, Time.of(1.0))
    lost.close()


def test_the_plain_process_is_never_chosen_while_something_isolates(isolation):
    assert choose(unsafe_code=True) == isolation
    assert isolation.level is not Level.PROCESS
    assert str(isolation).split(", ")[0] == isolation.level


def test_the_plain_process_judges_the_same_way():
    """Honest programs only: it runs them with the rights of whoever runs the tests."""
    plain = pool.tried(Level.PROCESS)
    exits = RIGHT._replace(completion="    import os\n    os._exit(0)\n")
    verdicts = check([RIGHT, WRONG, exits, told("x")], plain, timeout=10.0)
    assert [str(verdict) for verdict in verdicts] == [
        "passed",
        "assertion failed: assert f(2) == 4",
        "exited: status 0",
        "exception: ValueError: 2",
    ]


def test_the_plain_process_cleans_up():
    plain = pool.tried(Level.PROCESS)
    litter = RIGHT._replace(
        completion="    import os\n    assert os.listdir('.') == []\n    os.makedirs('a/b')\n"
        "    open('a/c', 'x').close()\n    os.symlink('a', 'd')\n    return 2 * x\n"
    )
    assert [str(verdict) for verdict in check([litter] * 3, plain, workers=1)] == ["passed"] * 3
    (where,) = check([told("__import__('os').getcwd()")], plain)
    work = Path(where.detail.removeprefix("ValueError: "))
    assert list(work.iterdir()) == []
    pool._close()
    assert not work.parent.exists()
