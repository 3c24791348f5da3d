"""What a check comes to: the tests decide, in a process that the completion never runs in."""

import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from harness.sandbox import Check, Outcome, check, frames

ROOT = Path(__file__).parents[2]

PROMPT = "import math\n\n\ndef helper(x):\n    return x + 1\n\n\ndef f(x):\n"


IN_A_THREAD = """\
    import threading
    found = []
    thread = threading.Thread(target=found.append, args=(x,))
    thread.start()
    thread.join()
    return found
"""


@pytest.fixture
def verdict(isolation):
    def judged(body, tests, prompt=PROMPT, timeout=5.0):
        (found,) = check([Check(prompt, body, tests, "f")], isolation, timeout=timeout)
        return found

    return judged


def call(expression):
    return f"def check(f):\n    {expression}\n"


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ("    return x\n", "assert f(7) == 7"),
        ("    return helper(x)\n", "assert f(7) == helper(7) == 8"),
        ("    return x\n", "assert math.isclose(f(7.0), 7)"),
        ("    return x\n", "assert f(x=3) == 3"),
        ("    x.append(4)\n", "mine = [3]; f(mine); assert mine == [3, 4]"),
        ("    x.clear()\n    return x\n", "mine = {1: 2}; assert f(mine) == {} == mine"),
        ("    yield x\n", "assert list(f(7)) == [7]"),
        ("    return 10 ** 5000\n", "assert f(1) == 10 ** 5000"),
        ("    return '\\ud800'\n", "assert f(1) == '\\ud800'"),
        ("    import numpy\n    return numpy.float64(x)\n", "assert f(2) == 2.0"),
        ("    print('noise')\n    return input and x\n", "assert f(2) == 2"),
        ("    seen.append(x)\n    return len(seen)\n\nseen = []\n", "assert f(1) + f(1) == 3"),
        ("    return open('x', 'x').write('ab')\n", "assert f(0) == 2"),
        (IN_A_THREAD, "assert f(3) == [3]"),
        ("    import asyncio\n    return asyncio.run(asyncio.sleep(0, x))\n", "assert f(3) == 3"),
    ],
)  # fmt: skip
def test_honest_programs_pass(verdict, body, expression):
    assert str(verdict(body, call(expression))) == "passed"


@pytest.mark.parametrize("kind", ["ValueError", "KeyError", "ZeroDivisionError", "RecursionError"])
def test_tests_may_expect_an_exception(verdict, kind):
    expecting = f"""
        def check(f):
            try:
                f(0)
            except {kind}:
                return
            assert False
    """
    tests = textwrap.dedent(expecting)
    assert verdict(f"    raise {kind}('no')\n", tests).passed
    derived = f"    class Own({kind}):\n        pass\n    raise Own('no')\n"
    assert verdict(derived, tests).passed
    assert str(verdict("    raise OSError('no')\n", tests)) == "exception: OSError: no"
    assert str(verdict("    return 0\n", tests)) == "assertion failed: assert False"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("    return x + 1\n", "assertion failed: assert f(1) == 1"),
        ("    raise ValueError('no')\n", "exception: ValueError: no"),
        ("    raise ValueError\n", "exception: ValueError"),
        ("    raise ValueError('\\ud800')\n", "exception: ValueError: \ud800"),
        ("    assert False, 'mine'\n", "exception: AssertionError: mine"),
        ("    return undefined\n", "exception: NameError: name 'undefined' is not defined"),
        ("    return (\n", "exception: SyntaxError: '(' was never closed (<completion>, line 9)"),
        ("    return 1\n\n1 / 0\n", "exception: ZeroDivisionError: division by zero"),
        ("    import sys\n    sys.exit(3)\n", "exited: SystemExit: 3"),
        ("    import os\n    os._exit(3)\n", "exited: status 3"),
        ("    while True: pass\n", "timed out"),
        ("    return bytearray(3 << 30)\n", "out of memory: at `return bytearray(3 << 30)`"),
        ("    import ctypes\n    ctypes.string_at(0)\n", "killed: SIGSEGV"),
        (
            "    import os\n    os.fork()\n",
            "forbidden: PermissionError: [Errno 1] Operation not permitted, at `os.fork()`",
        ),
        ("    raise PermissionError('mine')\n", "exception: PermissionError: mine"),
    ],
)
def test_what_ended_a_check_is_said(verdict, body, found, isolation):
    if found.startswith("forbidden") and "seccomp" not in isolation.layers:
        pytest.skip("this machine has no system call filter")
    assert str(verdict(body, call("assert f(1) == 1"), timeout=1.0)) == found


@pytest.mark.parametrize("swallowing", ["except Exception", "except BaseException", "except"])
@pytest.mark.parametrize(
    "body", ["    import os\n    os._exit(0)\n", "    raise SystemExit\n", "    return '' .x\n"]
)
def test_tests_that_swallow_everything_do_not_pass_what_never_answered(verdict, body, swallowing):
    tests = f"def check(f):\n    try:\n        f(1)\n    {swallowing}:\n        pass\n"
    found = verdict(body, tests)
    assert found.passed == (".x" in body)  # an exception is an answer


def test_an_end_of_iteration_does_not_end_the_tests_loop(verdict):
    tests = call("assert all(map(lambda x: f(x) == x, [1, 2]))")
    assert verdict("    return x\n", tests).passed
    assert str(verdict("    raise StopIteration\n", tests)) == "exception: StopIteration"


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        (call("assert f(lambda: 1) is None"), "its tests pass no plain data: function in"),
        (call("assert f([object()]) is None"), "its tests pass no plain data: list in"),
        (call("pass"), "its tests never call the function"),
        ("def test(f): pass\n", "its prompt or tests do not run: KeyError('check')"),
        ("1 / 0\n", "its prompt or tests do not run: ZeroDivisionError"),
    ],
)
def test_what_cannot_be_judged_is_no_verdict_on_the_completion(verdict, tests, reason):
    found = verdict("    return None\n", tests)
    assert found.outcome is Outcome.UNSUPPORTED
    assert found.detail.startswith(reason)


def test_a_prompt_that_needs_its_body_is_unsupported(verdict):
    found = verdict("    return 1\n", call("assert f(1)"), prompt="x = [\ndef f(x):\n")
    assert found.outcome is Outcome.UNSUPPORTED


def test_tests_that_never_end_count_as_timed_out(verdict):
    body = "    return 1\n"
    assert str(verdict(body, call("\n    f(1)\n    while True: pass"), timeout=0.2)) in {
        "timed out: in the tests",
        "timed out",
    }


SEARCH = """\
    wanted, found = bytes(reversed(x.encode())), 0
    with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
        for line in maps:
            place, rights, *_ = line.split()
            if rights.startswith('r') and '[v' not in line:
                start, end = (int(address, 16) for address in place.split('-'))
                memory.seek(start)
                found += memory.read(end - start).count(wanted)
    return found
"""
BARE_JUDGE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from harness.sandbox import judge
from harness.sandbox.confinement import Confinement
bare = Confinement(nested=False, landlock=0, seccomp=False, work=sys.argv[2], read=(), write=())
judge.run(int(sys.argv[3]), os.pipe()[1], 20.0, bare)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="searches /proc/self/mem")
def test_the_tests_are_nowhere_in_the_candidates_memory(tmp_path):
    """Every mapped byte is searched. It reads itself, for which the layers have to be off."""

    def found(word):
        tests = (
            f"MARK = 'only in the tests'\ndef check(f):\n    raise ValueError(f({word[::-1]!r}))\n"
        )
        request = {"prompt": "MARK = 'only in the prompt'\ndef f(x):\n", "completion": SEARCH}
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [sys.executable, "-S", "-c", BARE_JUDGE, str(ROOT), str(tmp_path)]
            with subprocess.Popen([*command, str(theirs.fileno())], pass_fds=[theirs.fileno()]):
                frames.send(ours.fileno(), {**request, "entry_point": "f"})
                frames.send(ours.fileno(), {"tests": tests})
                outcome, detail = frames.receive(ours.fileno(), time.monotonic() + 60)["verdict"]
        assert outcome == "exception"
        return int(detail.removeprefix("ValueError: "))

    nowhere = found("nowhere at all, only")  # the search itself holds what it looks for
    assert found("only in the prompt") > nowhere
    assert found("only in the tests") == nowhere
