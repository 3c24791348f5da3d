"""Model-written code of lm-eval's code tasks, in our sandbox in the place of `evaluate`'s.

HumanEval and MBPP ask `evaluate.load("code_eval")`, which is fetched from the hub and runs programs
as a child process with the user's own rights. Here the same programs (prediction, line feed, tests)
run in the sandbox. Both take a program for right that comes to its end without an exception; limits
and isolation are ours, and so is the number, which reports say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from harness import sandbox
from harness.tasks.code import pass_at_k

_CAME_TO_ITS_END = "titrate_program_came_to_its_end"
# The judge runs what stands in front of a completion by itself, and makes a function's head whole.
_HEAD = "def titrate_head():\n"
#: How programs were isolated that were judged since `sandboxed` began last.
_isolation: dict[str, None] = {}
_TEST = "def check(candidate):\n    assert candidate() is True\n"


class SandboxedCodeEval:
    """Has the face of `evaluate`'s `code_eval`."""

    def compute(
        self,
        *,
        references: Sequence[str],
        predictions: Sequence[Sequence[str]],
        k: Sequence[int] = (1, 10, 100),
        **_: Any,
    ) -> tuple[dict[str, float], dict[int, list[tuple[int, dict[str, Any]]]]]:
        """pass@k of each k for which every task has predictions enough, and what came of each."""
        checks = [
            sandbox.Check(_HEAD, _program(candidate, tests), _TEST, _CAME_TO_ITS_END)
            for tests, candidates in zip(references, predictions, strict=True)
            for candidate in candidates
        ]
        different = list(dict.fromkeys(checks))
        level = sandbox.choose()
        found = dict(zip(different, sandbox.check(different, level), strict=True))
        _isolation[str(level)] = None
        verdicts = [found[each] for each in checks]
        ends = list(accumulate(len(candidates) for candidates in predictions))
        own = [
            verdicts[end - len(candidates) : end]
            for candidates, end in zip(predictions, ends, strict=True)
        ]
        rates = {
            f"pass@{each}": sum(
                pass_at_k(len(some), sum(verdict.passed for verdict in some), each) for some in own
            )
            / len(own)
            for each in k
            if all(len(some) >= each for some in own)
        }
        results = {
            task: [
                (number, {"task_id": task, "passed": verdict.passed, "result": str(verdict)})
                for number, verdict in enumerate(some)
            ]
            for task, some in enumerate(own)
        }
        return rates, results


def isolation() -> str | None:
    """How programs were isolated that were judged since `sandboxed` began; None where none were."""
    return ", ".join(_isolation) or None


def _program(candidate: str, tests: str) -> str:
    return f"    pass\n\n{candidate}\n{tests}\n\ndef {_CAME_TO_ITS_END}():\n    return True\n"


@contextmanager
def sandboxed() -> Iterator[None]:
    """Give whoever asks `evaluate` for `code_eval` meanwhile, as task files do, the sandboxed."""
    import evaluate

    own = evaluate.load
    _isolation.clear()

    def load(path: str, *given: Any, **named: Any) -> Any:
        return SandboxedCodeEval() if path == "code_eval" else own(path, *given, **named)

    evaluate.load = load
    try:
        yield
    finally:
        evaluate.load = own
