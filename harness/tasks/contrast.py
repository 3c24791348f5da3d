"""Contrastive pairs: two texts that differ in one thing, from which a steering vector is built.

A user's own lie in files (`contrast_files`). Built-in pairs come from material that no evaluation
sample is made of: training problems of a generated task, or a training file of the same format.

- styles: a problem that lies in a file, at the point where the assistant calls its tool, and the
  same problem pasted into the turn, at the point where it answers
- answers: a problem with its worked answer, and with a wrong one that could pass for it
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random

from harness.errors import TaskError
from harness.tasks.base import Conversation, Style
from harness.tasks.conversations import code_prompt, code_request, maths_prompt, maths_request

_NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Side:
    """One text of a pair: a prompt and its answer; an empty answer means no answer."""

    prompt: Conversation | str
    answer: str = ""


@dataclass(frozen=True)
class ContrastPair:
    """Two sides that differ in what the vector is to stand for; `id` names it in messages."""

    id: str
    positive: Side
    negative: Side

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of both texts: what keeps splits apart, whatever the ids are."""
        sides = [_plain(side) for side in (self.positive, self.negative)]
        return hashlib.sha256(json.dumps(sides, sort_keys=True).encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.content_hash)  # messages are dictionaries, which have none


def style_pairs(
    contents: Sequence[str], *, code: bool, day: date | None = None
) -> tuple[ContrastPair, ...]:
    """Agentic against assisted prompts of the same problems: function heads, or questions."""
    request, prompt = (code_request, code_prompt) if code else (maths_request, maths_prompt)
    return tuple(
        ContrastPair(
            f"problem {number}", Side(request(content, day)), Side(prompt(content, "assisted", day))
        )
        for number, content in enumerate(contents, start=1)
    )


def answer_pairs(
    problems: Sequence[tuple[str, str]], style: Style, seed: int = 0, day: date | None = None
) -> tuple[ContrastPair, ...]:
    """Right against wrong answers of word problems `(question, answer)`, in one prompt style."""
    random = Random(seed)
    return tuple(
        ContrastPair(
            f"problem {number}",
            Side(maths_prompt(question, style, day), answer),
            Side(maths_prompt(question, style, day), wrong_answer(answer, random)),
        )
        for number, (question, answer) in enumerate(problems, start=1)
    )


def wrong_answer(answer: str, random: Random) -> str:
    """A worked answer whose last step slips: the same text with another result at its end.

    The slip is what people and small models do: off by one or by ten, a digit swapped, or a number
    of the text taken for the result. It never equals the right result.
    """
    lines = answer.split("\n")
    found = _NUMBER.findall(lines[-1].replace(",", ""))
    if not found:
        raise TaskError(f"{lines[-1]!r} ends no worked answer; expected a last line `#### N`")
    right = found[-1]
    candidates = [
        number
        for number in (*_slips(int(right)), *map(int, _NUMBER.findall(answer)))
        if number != int(right) and number >= 0
    ]
    wrong = str(random.choice(candidates))
    result = re.compile(rf"(?<![\d.,]){re.escape(right)}(?![\d.,]*\d)")
    changed = [*lines[:-1]]
    if changed:
        # The result also stands in the last worked line: once after `=`, once after `>>`.
        head, equals, tail = changed[-1].rpartition("=")
        changed[-1] = head + equals + result.sub(wrong, tail)
    last = lines[-1].replace(",", "")
    at = last.rindex(right)
    return "\n".join([*changed, last[:at] + wrong + last[at + len(right) :]])


def _slips(right: int) -> Iterator[int]:
    yield from (right + 1, right - 1, right + 10, right - 10)
    digits = str(abs(right))
    if len(digits) > 1:
        yield int(digits[1] + digits[0] + digits[2:])


def _plain(side: Side) -> list[object]:
    if isinstance(side.prompt, str):
        return [side.prompt, side.answer]
    return [[*side.prompt.messages], [*side.prompt.tools], side.answer]
