r"""The process that compares mathematics for `answer: math`; it speaks JSON lines and ends with us.

    {"gold": "\\frac12", "text": "It is \\boxed{0.5}."} -> {"correct": true, "read": "0.5"}

Sympy may think about an expression for ever, in code that no thread can interrupt: it is asked in a
process of its own, which is killed when its time is up.
"""

from __future__ import annotations

import json
import logging
import re
import sys

from harness.processes.parent import end_with
from harness.tasks.answers.plain_text import said

MOST_MEMORY = 4 << 30
"""Bytes that the process may take; powers of powers take what there is."""
MOST_TEXT = 20_000
"""Characters of an answer, from its end, that are read where it has no box."""

_SPACING = re.compile(r"\\(?:left|right|displaystyle|[,;:! ])|[\s$]|(?<=\\)[dt](?=frac)")
_WORDS = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}")


def boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}` of a text; None where there is none that is whole."""
    start = text.rfind("\\boxed")
    opening = text.find("{", start)
    if start < 0 or opening < 0:
        return None
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[opening + 1 : at]
    return None


def plain(expression: str) -> str:
    """An expression without its spacing and its markup of words: what equals as text, is equal."""
    return _WORDS.sub(r"\1", _SPACING.sub("", expression)).rstrip(".").casefold()


def graded(gold: str, text: str) -> dict[str, object]:
    """Whether an answer equals the gold one, and what was read of it; empty where nothing was.

    Read is the last box, or else what is called the answer, or the last expression of the text.
    """
    from math_verify import parse, verify

    read = boxed(text) or said(text)
    if read is not None and plain(read) == plain(gold):
        return {"correct": True, "read": read}
    expected = parse(f"${gold}$", parsing_timeout=None)
    shown = f"\\boxed{{{read}}}" if boxed(text) else (read or text[-MOST_TEXT:])
    found = parse(shown, parsing_timeout=None)
    # Comparisons are not symmetric: an interval equals an inequality in one order only.
    correct = any(
        verify(one, other, timeout_seconds=None)
        for one, other in ((expected, found), (found, expected))
    )
    return {"correct": correct, "read": str(found[-1]) if found else ""}


def minerva(gold: str, text: str) -> dict[str, object]:
    """Whether a text's last box equals the gold answer by lm-eval's rule for Minerva's prompts.

    Both are normalised there as texts, then compared by sympy's reading of them; a box that is not
    there, or that sympy cannot read, is wrong. Source: lm_eval.tasks.minerva_math.utils.
    """
    from lm_eval.tasks.minerva_math.utils import is_equiv, normalize_final_answer

    read = boxed(text)
    if read is None:
        return {"correct": False, "read": ""}
    one, other = normalize_final_answer(read), normalize_final_answer(gold)
    return {"correct": bool(is_equiv(one, other)), "read": one}


def _main() -> None:
    end_with(int(sys.argv[1]))
    logging.disable(logging.CRITICAL)  # the library warns that its own limits of time are off
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # this system has no such limit; the limit of time holds
    rule = {"graded": graded, "minerva": minerva}[sys.argv[2]]
    rule("1", "\\boxed{1}")  # what takes long is imported before the first question
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            reply = rule(asked["gold"], asked["text"])
        except Exception as error:  # whatever sympy raises on what a model wrote
            reply = {
                "correct": False,
                "read": "",
                "error": f"{type(error).__name__}: {error}"[:200],
            }
        sys.stdout.write(f"{json.dumps(reply)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
