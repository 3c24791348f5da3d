r"""`answer: math`: the completion's mathematics equals the gold answer's, whatever its form.

    {"prompt": "Solve $2x = 1$.", "answer": "\\frac{1}{2}"}

Compared by math-verify (extra `math`), in a process that is killed when a comparison takes too
long. `docs/own_tasks.md` has the rules for decimals, intervals, sets and matrices.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from threading import Lock
from typing import Any

from harness.errors import TaskError
from harness.tasks.answers.kind import AnswerKind, AnswerVerdict
from harness.tasks.answers.math_grader import plain
from harness.tasks.base import Reference, Sample

SECONDS = 5.0
"""How long one comparison may take; most take a hundredth of a second."""
_START = 120.0
"""How long the process may take to import sympy, on a busy machine."""


class MathAnswer(AnswerKind):
    """The completion's mathematics equals the gold answer's: by math-verify, in any form."""

    name = "math"

    def ready(self, samples: Sequence[Sample], *, unsafe_code: bool) -> MathAnswer:
        """Raise TaskError where the library is not there."""
        del samples, unsafe_code
        if find_spec("math_verify") is None:
            raise TaskError("answer: math needs math-verify; pip install 'pytest-titrate[math]'")
        return self

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The libraries that compare, and how long they may."""
        libraries = ("math-verify", "latex2sympy2-extended", "sympy")
        return {"seconds": SECONDS, **{name: version(name) for name in libraries}}

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """An answer that says nothing."""
        answer = record["answer"]
        if isinstance(answer, bool) or not isinstance(answer, str | int | float):
            return f"answer {answer!r} is not a text"
        return None if str(answer).strip(" $") else f"answer {answer!r} is empty"

    def reference(self, record: Mapping[str, Any]) -> Reference:
        """The answer in a box."""
        return Reference("$\\boxed{", str(record["answer"]).strip(" $"), "}$")

    def verdict(self, record: Mapping[str, Any], text: str) -> AnswerVerdict:
        """Ask the process."""
        gold = str(record["answer"]).strip(" $")
        reply = _GRADER.ask({"gold": gold, "text": text})
        if reply is None:
            detail = f"comparing it with {gold} took more than {SECONDS:g} s"
            return AnswerVerdict(correct=False, parsed=True, detail=detail, settled=False)
        if "error" in reply:
            return AnswerVerdict(
                correct=False, parsed=False, detail=f"cannot be read: {reply['error']}"
            )
        if not reply["read"]:
            return AnswerVerdict(correct=False, parsed=False, detail="no mathematics")
        detail = f"{reply['read']}, expected {gold}"
        return AnswerVerdict(
            reply["correct"], parsed=True, detail=detail, answer=plain(reply["read"])
        )


class Grader:
    """A process that answers questions one at a time, in a limited time each; begun when needed.

    Args:
        rule: By which it grades: `graded` or `minerva` (`math_grader.py`).
    """

    def __init__(self, rule: str = "graded") -> None:
        self._rule = rule
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, question: Mapping[str, str], seconds: float = SECONDS) -> dict[str, Any] | None:
        """The reply, or None where it takes too long; then the process is ended.

        Raises TaskError where the process does not begin.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(question).encode() + b"\n")
                process.stdin.flush()
            except OSError:  # it ended meanwhile, for instance because memory ran out
                self._end()
                return None
            line = _line(process, seconds)
            if line is None:
                self._end()
                return None
            reply: dict[str, Any] = json.loads(line)
            return reply

    def _running(self) -> subprocess.Popen[bytes]:
        """The process of this one; a fork has none yet."""
        if self._process is not None and self._owner == os.getpid():
            return self._process
        grader = "harness.tasks.answers.math_grader"
        command = [sys.executable, "-m", grader, str(os.getpid()), self._rule]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._process, self._owner = process, os.getpid()
        atexit.register(self._end)
        if _line(process, _START) is None:
            self._end()
            raise TaskError("answer: math: math-verify cannot be imported, or does not begin")
        return process

    def _end(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.communicate()
            self._process = None


def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """The next line that a process writes; None where it writes none in time, or ends."""
    assert process.stdout is not None
    end, line = time.monotonic() + seconds, b""
    while not line.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            return None
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            return None
        line += part
    return line


_GRADER, _MINERVA = Grader(), Grader("minerva")


def minerva_verdict(gold: str, text: str) -> bool | None:
    """Whether a text is right by lm-eval's rule; None where that takes too long."""
    reply = _MINERVA.ask({"gold": gold, "text": text})
    if reply is not None and "error" in reply:
        raise TaskError(f"minerva: {reply['error']}")
    return None if reply is None else bool(reply["correct"])


ANSWER = MathAnswer()
