r"""The number that an answer ends with, however it is written.

Behind the model's reasoning, the first of these that holds a number:

1. the last `#### N` or `\boxed{N}`, whichever stands later
2. the last "answer is N" or "answer: N"
3. the last number in front of a "Check: ..." that ends the text
4. the last number

`####` is a Markdown heading too: what begins with a word, or is numbered (`#### 2. Money`) with
text below, is not a marker. Of an equation the last side counts that is one number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.tasks.number_spelling import plain
from harness.tasks.numbers import FoundNumber, Number, numbers_in
from harness.tasks.reasoning import without_reasoning

_MARKER = re.compile(r"####+")
_BOX = re.compile(r"\\boxed\s*")
#: What says that the answer follows, and what only speaks of it (`to find the answer`).
_CUE = re.compile(
    r"(?P<spoken>\b(?:to\s+|(?:to\s+\w+|verify|check|confirm)\s+(?:the|this|our|my|your)\s+(?:\w+\s+)?)"
    r"answer\b)|\banswers?\b(?:[ *_\"'`]*[:=]|[^.\n=:]{0,40}?\b(?:is|are|be)\b|[ *_]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_BOLD = re.compile(r"\*\*(?=\S)((?:(?!\*\*)[^\n])+)(?<=\S)\*\*")
_BULLET = re.compile(r"[ ]*[-+*] +")
_CHECK = re.compile(
    r"(?:^|[.!?\n])[ (*_]*(?:(?:let's|let me|let us|to|we can)\s+)?(?:double[- ]?)?"
    r"(?:check|verification|verify|proof)\b(?:\s+(?:the|this|our|my|your)\s+(?:\w+\s+)?answer)?[*_]*:",
    re.IGNORECASE,
)
#: What may stand between a marker and its number.
_LEAD = re.compile(
    r"(?:(?:the|final|so|is|answer|result|total)\b|_|[^\w.\-$€£¥₹\\])*", re.IGNORECASE
)
_NUMBERED = re.compile(r"\d{1,2}[.):]\s+[^\W\d]")
#: Where the reason for a number begins.
_REASON = re.compile(
    r"[;(\[]|,\s|\.\s|\b(?:because|since|as|which|where|so|and|but|or|for|not)\b", re.IGNORECASE
)
#: How far a number may stand from what announces it; without a bound, long texts take minutes.
_FAR = 400
_LINE = re.compile(r"[^\n]*?[^\s*_:`$][^\n]*")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")


def final_number(text: str) -> Number | None:
    """The number that a text ends with, None without any; equal amounts compare equal.

    A `Decimal` where the value has finitely many digits, else a `Fraction`.
    """
    answer = plain(without_reasoning(text))
    for found in (*_marked(answer), *_announced(answer)):
        return found.value
    checked = [check.start() for check in _CHECK.finditer(answer)]
    for part in (*(answer[:start] for start in reversed(checked)), answer):
        if (last := _last(part)) is not None:
            return last.value
    return None


def _marked(answer: str) -> Iterator[FoundNumber]:
    """The numbers that stand behind a marker or in a box, from the last one."""
    places = sorted((m.end(), m[0]) for form in (_MARKER, _BOX) for m in form.finditer(answer))
    for place, mark in reversed(places):
        boxed = mark.startswith("\\")
        found = _of_equation(_braced(answer, place)) if boxed else _behind_marker(answer, place)
        if found:
            yield found


def _announced(answer: str) -> Iterator[FoundNumber]:
    """The numbers of sentences that say what the answer is, from the last one."""
    for cue in reversed([cue for cue in _CUE.finditer(answer) if not cue["spoken"]]):
        line = _line_below(answer, cue.end())
        end = _SENTENCE_END.search(line)
        sentence = line[: end.start()] if end else line
        bold = "\n".join(_BOLD.findall(sentence))
        if found := _leading(sentence) or _last(bold) or _last(sentence):
            yield found


def _behind_marker(answer: str, place: int) -> FoundNumber | None:
    """The number of a line that a marker begins, unless the line is a heading."""
    line = _line_below(answer, place)
    if _NUMBERED.match(line.strip()) and answer[place:].partition(line)[2].strip():
        return None
    return _leading(line)


def _leading(line: str) -> FoundNumber | None:
    """The number that a line begins with, or that an equation there comes to."""
    lead = _LEAD.match(line)
    rest = line[lead.end() :] if lead else line
    rest = re.sub(r"^-\s+(?=[\d$])", "-", rest)
    first = next(numbers_in(rest), None)
    if first is None or rest[: first.start].strip("$ "):
        return None
    reason = _REASON.search(rest)
    return _of_equation(rest[: reason.start()] if reason else rest) or first


def _of_equation(content: str) -> FoundNumber | None:
    """The last side of an equation that is one number; without one, the first number."""
    sides = [[*numbers_in(side)] for side in re.split(r"[=~]", content)]
    single = [side[0] for side in sides if len(side) == 1]
    several = [side[0] for side in sides if side]
    return single[-1] if single else several[0] if several else None


def _last(part: str) -> FoundNumber | None:
    """The last number of a text, rather one that is not part of a word and counts no list items."""
    found = [*numbers_in(part)]
    own = [number for number in found if not number.attached and not _counts(part, number)]
    return next(reversed(own or found), None)


def _counts(part: str, number: FoundNumber) -> bool:
    """Whether a number is that of a list item."""
    line = part.rfind("\n", 0, number.start) + 1
    return not part[line : number.start].strip() and bool(
        re.match(r"[.)]\s+\S", part[number.end : number.end + 9])
    )


def _line_below(answer: str, place: int) -> str:
    """The rest of the line at a place, or the next one that is not blank, to another marker."""
    line = _LINE.search(answer, place, place + _FAR)
    if line is None:
        return ""
    text = line[0].partition("####")[0]
    bullet = _BULLET.match(text) if "\n" in answer[place : line.start()] else None
    return text[bullet.end() :] if bullet else text


def _braced(answer: str, place: int) -> str:
    """What stands in the braces that begin at a place, or the word there."""
    rest = answer[place : place + _FAR]
    if not rest.startswith("{"):
        return rest.split(maxsplit=1)[0] if rest.strip() else ""
    depth = 0
    for index, character in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[1:index]
    return rest[1:].split("\n", 1)[0]
