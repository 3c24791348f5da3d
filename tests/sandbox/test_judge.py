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
        ("    raise ValueError('\\ud800')\n", "exception: ValueError: \\ud800"),
        ("    assert False, 'mine'\n", "exception: AssertionError: mine"),
        ("    return undefined\n", "exception: NameError: name 'undefined' is not defined"),
        ("    return (\n", "exception: SyntaxError: '(' was never closed (<completion>, line 9)"),
        ("    return 1\n\n1 / 0\n", "exception: ZeroDivisionError: division by zero"),
        ("    import sys\n    sys.exit(3)\n", "exited: SystemExit: 3"),
        ("    import os\n    os._exit(3)\n", "exited: status 3"),
        ("    while True: pass\n", "timed out"),
        ("    return bytearray(3 << 30)\n", "out of memory: at `return bytearray(3 << 30)`"),
        ("    return [0] * 10**8\n", "out of memory: in sending its answer"),
        ("    x = [x]\n    while x: x += x\n", "out of memory: at `while x: x += x`"),
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
    patience = 1.0 if found == "timed out" else 30.0  # what ends by itself may take its time
    assert str(verdict(body, call("assert f(1) == 1"), timeout=patience)) == found


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


def test_a_completion_cannot_have_the_tests_skipped(verdict):
    tests = """
import io
import unittest

def check(f):
    class Tests(unittest.TestCase):
        def test(self):
            self.assertEqual(f(1), 1)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Tests)
    assert unittest.TextTestRunner(stream=io.StringIO()).run(suite).wasSuccessful()
"""
    assert verdict("    return x\n", tests).passed
    skipping = (
        "    import unittest\n    class Mine(unittest.SkipTest): pass\n    raise Mine('no')\n"
    )
    for body in (skipping, skipping.replace("raise Mine", "raise unittest.SkipTest")):
        assert not verdict(body, tests).passed


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        (call("assert f(lambda: 1) is None"), "its tests pass no plain data: function in"),
        (call("assert f([object()]) is None"), "its tests pass no plain data: object in"),
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


MODULES = """\
import abc, copy, enum, pickle, sys, typing
from dataclasses import dataclass, field
from functools import singledispatch


@dataclass(order=True)
class Pair:
    first: int
    rest: list = field(default_factory=list)
    other: "Pair | None" = None


class Point(typing.NamedTuple):
    x: int


class Colour(enum.Enum):
    RED = 7


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


@singledispatch
def shown(value): return None


@shown.register
def _(value: int): return value


def annotated(x: int) -> Pair: ...


def scope(): return sys.modules[__name__]


if __name__ == "__main__":
    raise SystemExit
"""


@pytest.mark.parametrize(
    "expression",
    [
        "Pair(x).first",
        "pickle.loads(pickle.dumps(Pair(x))).first",
        "copy.deepcopy(Pair(x)).first",
        "pickle.loads(pickle.dumps(Colour(x))).value",
        "Point(x).x",
        "shown(x)",
        "x if scope().Pair is Pair and Pair.__module__ == __name__ else None",
        "x if typing.get_type_hints(Pair)['other'] == Pair | None else None",
        "x if annotated.__annotations__ == {'x': int, 'return': Pair} else None",
        "x if 'annotations' not in globals() and '__file__' not in globals() else None",
    ],
)
def test_a_program_is_a_module_of_its_own(verdict, expression):
    """In the prompt too, which both processes run; nothing of this project's `__future__` there."""
    body = f"    return {expression}\n"
    tests = call("assert f(7) == 7")
    assert str(verdict(f"{body}\n\n{MODULES}", tests)) == "passed"
    assert str(verdict(body, tests, prompt=f"{MODULES}\n{PROMPT}")) == "passed"


FUTURE = "from __future__ import annotations\n"
WHOLE = FUTURE + "\n\ndef f(x: Unknown) -> Unknown:\n    return x\n"
DOCUMENTED = PROMPT + '    """The same."""\n'


@pytest.mark.parametrize(
    ("prompt", "completion", "found"),
    [
        (DOCUMENTED, f"\n{WHOLE}", "passed"),
        (DOCUMENTED, f'\n"""A file."""\n{WHOLE}', "passed"),
        (FUTURE + DOCUMENTED, f"\n{WHOLE}", "passed"),
        (FUTURE + PROMPT, "    return x\n\n\ndef g(y: Unknown): ...\n", "passed"),
        (PROMPT, "    return x\n\n\ndef g(y: Unknown): ...\n", "exception: NameError"),
        (PROMPT, f"    return x\n\n\n{FUTURE}", "exception: SyntaxError: from __future__"),
        (DOCUMENTED, f"\nimport os\n{WHOLE}", "exception: SyntaxError: from __future__"),
        (DOCUMENTED, "\nfrom __future__ import nothing\n", "exception: SyntaxError"),
    ],
)
def test_a_whole_file_may_begin_with_imports_from_the_future(verdict, prompt, completion, found):
    assert str(verdict(completion, call("assert f(7) == 7"), prompt)).startswith(found)


TYPES = """\
    from collections import Counter, OrderedDict, defaultdict, deque
    from datetime import datetime, timedelta
    table = {1: 'a', 2: 'b'}
"""


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        (TYPES + "    return deque(x)", "assert f([1]) == __import__('collections').deque([1])"),
        (TYPES + "    return Counter(x)", "assert f('aab').most_common(1) == [('a', 2)]"),
        (TYPES + "    return defaultdict(int)", "assert f(1)['missing'] == 0"),
        (TYPES + "    return table.values()", "assert sorted(f(1)) == ['a', 'b']"),
        (TYPES + "    return table.items()", "assert f(1) == {1: 'a', 2: 'b'}.items()"),
        (TYPES + "    return x + timedelta(1)", "import datetime as d; assert f(d.date.min)"),
        ("    return 'x' * (9 << 20)", "assert len(f(1)) == 9 << 20"),
        ("    return list(range(x))", "assert f(1_500_000) == list(range(1_500_000))"),
        ("    x[0].append(2)", "mine = ([1],); f(mine); assert mine == ([1, 2],)"),
        ("    x[0] = True", "mine = [1]; f(mine); assert mine[0] is True"),
        ("    x[1][0].append(2)", "mine = [0, ([1],)]; f(mine); assert mine == [0, ([1, 2],)]"),
        ("    x.append(1)\n    return x", "mine = []; assert f(mine) is mine == [1]"),
        ("    return x[:]", "mine = []; assert f(mine) is not mine"),
        ("    x.append(x)\n    return x", "mine = []; assert f(mine)[0] is mine"),
        ("    return object()", "mine = f(1); assert mine == mine != f(1)"),
    ],
)  # fmt: skip
def test_values_are_what_they_are_in_one_process(verdict, body, expression):
    assert str(verdict(f"{body}\n", call(expression))) == "passed"


def test_aliased_arguments_are_one_object(verdict):
    body = "    x.append(1)\n    return y\n"
    tests = call("mine = []; assert f(mine, mine) is mine == [1]")
    assert str(verdict(body, tests, prompt="def f(x, y):\n")) == "passed"


OWN = """\
class Refused(ValueError):
    def __init__(self, code):
        super().__init__(f"refused with {code}")
        self.code = code


"""


@pytest.mark.parametrize(
    ("raised", "condition"),
    [
        ("KeyError('a')", "type(e) is KeyError and e.args == ('a',) and str(e) == repr('a')"),
        ("ValueError(1, [2])", "e.args == (1, [2])"),
        ("OSError(2, 'none', 'file')", "type(e) is FileNotFoundError and e.filename == 'file'"),
        ("UnicodeDecodeError('ascii', b'a', 0, 1, 'no')", "e.reason == 'no' and 'byte' in str(e)"),
        ("Refused(3)", "type(e) is Refused and e.code == 3 and str(e) == 'refused with 3'"),
        ("json.JSONDecodeError('no', 'text', 1)", "type(e) is json.JSONDecodeError and e.pos == 1"),
        ("type('A', (KeyError,), {'__str__': lambda _: 'x'})(1)", "(str(e), *e.args) == ('x', 1)"),
        ("type('A', (KeyError,), {})(1)", "type(e).__name__ == 'A' and isinstance(e, KeyError)"),
        ("type('Mine', (Refused,), {})(4)", "isinstance(e, Refused) and e.code == 4"),
        ("ExceptionGroup('many', [ValueError()])", "isinstance(e, Exception)"),
    ],
)  # fmt: skip
def test_an_exception_is_what_it_is_in_one_process(verdict, raised, condition):
    tests = (
        f"def check(f):\n    try:\n        f(1)\n    except Exception as e:\n"
        f"        assert {condition}\n    else:\n        assert False\n"
    )
    prompt = f"import json\n\n\n{OWN}{PROMPT}"
    assert str(verdict(f"    raise {raised}\n", tests, prompt)) == "passed"


@pytest.mark.parametrize(
    "body",
    [
        "    return object()",
        "    return {1: 2}.values()",
        "    return (i for i in [x])",
        "    return lambda: x",
        "    return f",
        "    x.append(object())\n    return x",
        "    return [[x]] * 3",
        "    for _ in range(300):\n        x = (x,)\n    return x",
        "    y = []\n    y.append(y)\n    return y",
        "    return 10 ** 5000",
        "    return '\ud800'",
        "    raise KeyError(object())",
    ],
)
@pytest.mark.parametrize(
    "expression",
    [
        "assert f(f([1])) == [1, 0], f([1])",
        "assert f([f([1]), (f([1]),)]) == 0",
        "x = [1]; f(x); f(x); assert False, (x, f(x))",
        "assert f([1]) == 0; f(print)",
    ],
)
def test_no_answer_makes_a_check_unsupported(verdict, body, expression):
    found = verdict(f"{body}\n", call(expression))
    assert found.outcome in (Outcome.ASSERTION_FAILED, Outcome.EXCEPTION)
    str(found).encode()


def test_an_answer_that_the_tests_make_too_long_is_wrong(verdict):
    found = verdict("    return 'x' * (40 << 20)\n", call("f(f(1) * 2)"))
    assert str(found).startswith("exception: its answer cannot be passed back: a message of")


def test_an_object_that_comes_back_is_the_candidates_own(verdict):
    body = "    return [node for node in (Node(x),)][0] if isinstance(x, int) else x.value\n"
    body += "\n\nclass Node:\n    def __init__(self, value):\n        self.value = value\n"
    assert str(verdict(body, call("assert f(f(3)) == 3"))) == "passed"


def test_tests_that_call_before_they_define_the_check(verdict):
    tests = "assert f(1) == 1\ndef check(f):\n    assert f(2) == 2\n"
    assert str(verdict("    return x\n", tests)) == "passed"
    assert str(verdict("    return 0\n", tests)) == "assertion failed: assert f(1) == 1"


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
from harness.sandbox.limits import Time
bare = Confinement(nested=False, landlock=0, seccomp=False, work=sys.argv[2], read=(), write=())
judge.run(int(sys.argv[3]), os.pipe()[1], Time.of(20.0), bare)
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
                outcome, detail, _ = frames.receive(
                    ours.fileno(), frames.until(time.monotonic() + 60)
                )["verdict"]
        assert outcome == "exception"
        return int(detail.removeprefix("ValueError: "))

    nowhere = found("nowhere at all, only")  # the search itself holds what it looks for
    assert found("only in the prompt") > nowhere
    assert found("only in the tests") == nowhere
