"""`answer: choice`: one of the record's choices is right, named by its letter, text or position.

    {"prompt": "Which is a mammal?", "choices": ["trout", "whale", "wren"], "answer": "B"}

Letters are A, B, C, ... in the order of the choices, or the record's own labels
(`choices: {label: [...], text: [...]}`); positions count from 0. `measure: likelihood` compares how
likely each choice is behind the prompt. A completion is read for the letter or the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from harness.tasks.answers.kind import AnswerKind, AnswerVerdict
from harness.tasks.answers.plain_text import plain, said
from harness.tasks.base import Reference

#: Where a sample's record holds the labels of its choices, and the right one's position.
_OURS = "choices: labels, gold"
_BOX = re.compile(r"\\boxed\s*\{\s*(?:\\text\s*\{)?\s*([^{}]+?)\s*\}")


class Choice(AnswerKind):
    """The completion names the right one of the record's choices, by its letter or its text."""

    name = "choice"
    fields = ("answer", "choices")

    def kept(self, record: Mapping[str, Any], name: str) -> dict[str, Any]:
        """With `choices` as a list of texts, their `labels` for templates, and what is right.

        Fields of the record that have these names stay: what is scored lies under a name of ours.
        """
        del name
        choices, labels = _listed(record["choices"])
        gold = _gold(record["answer"], choices, labels)
        return {"labels": labels, **record, "choices": choices, _OURS: [labels, gold]}

    def reference(self, record: Mapping[str, Any]) -> Reference:
        """The right choice's text."""
        return Reference("", record["choices"][self.gold(record)], "")

    def distractors(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        """The other choices, in their order."""
        return tuple(
            choice for at, choice in enumerate(record["choices"]) if at != self.gold(record)
        )

    def gold(self, record: Mapping[str, Any]) -> int:
        """The right one's position."""
        return int(record[_OURS][1])

    def verdict(self, record: Mapping[str, Any], text: str) -> AnswerVerdict:
        """Find the one choice that is named."""
        labels, gold = record[_OURS]
        found = named(text, record["choices"], labels)
        if found is None:
            return AnswerVerdict(
                correct=False, parsed=False, detail="names none of the choices, or several"
            )
        detail = f"{labels[found]}, expected {labels[gold]}"
        return AnswerVerdict(found == gold, parsed=True, detail=detail, answer=labels[found])


def named(text: str, choices: Sequence[str], labels: Sequence[str]) -> int | None:
    """The position of the choice that an answer names; None where it is none, or not one alone.

    The first of these that names one: what is in the last box; what follows the last "answer is" or
    "answer:"; the whole answer; its first line; the one choice whose text is in it.
    """
    boxes = _BOX.findall(text)
    first = text.strip().partition("\n")[0]
    for part in (boxes[-1] if boxes else None, said(text), text, first):
        found = None if part is None else _called(part, choices, labels)
        if found is not None:
            return found
    return _held(plain(text), [plain(choice) for choice in choices])


def _called(text: str, choices: Sequence[str], labels: Sequence[str]) -> int | None:
    """The choice that a short text is: its text, its label, or the label with more behind it."""
    bare = plain(text)
    texts = [plain(choice) for choice in choices]
    if bare in texts:
        return texts.index(bare)
    for at, label in enumerate(labels):
        # `B`, `(B)`, `B.`, `b) whale`, `**B**: a whale`, `option B`; not `A whale`, nor `I`.
        marked = rf"(?:option\s+|choice\s+)?\(?{re.escape(label)}(?:\)|[.:](?=\W|$)|[*_]+[.:)]?|$)"
        if re.match(marked, text.strip().lstrip("*_`\"' "), re.IGNORECASE):
            return at
    return None


def _held(text: str, choices: Sequence[str]) -> int | None:
    """The one choice whose words are in a text, where they are not a part of another's that is."""
    inside = [
        at
        for at, choice in enumerate(choices)
        if choice and re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", text)
    ]
    longest = [
        at
        for at in inside
        if not any(choices[at] in choices[other] for other in inside if other != at)
    ]
    return longest[0] if len(longest) == 1 else None


def _listed(value: Any) -> tuple[list[str], list[str]]:
    """The choices' texts and labels."""
    if isinstance(value, str):  # a cell of CSV
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(
                f'choices {value[:60]!r} is not a list; write ["one", "two"], in CSV as JSON'
            ) from None
    labels: Any = None
    if isinstance(value, Mapping) and {"text", "label"} <= value.keys():
        value, labels = value["text"], value["label"]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"choices {str(value)[:60]} is not a list of texts")
    if len(value) < 2:
        raise ValueError(f"choices {value} is not a choice; give two at least")
    if len(set(value)) < len(value):
        twice = next(each for each in value if value.count(each) > 1)
        raise ValueError(f"choices have {twice[:60]!r} twice; remove one")
    if labels is None:
        labels = list(ascii_uppercase[: len(value)]) if len(value) <= 26 else _numbers(value)
    labels = [str(label) for label in labels]
    if len(set(labels)) != len(value):
        raise ValueError(f"choices have {len(value)} texts and the labels {', '.join(labels)}")
    return value, labels


def _numbers(choices: Sequence[str]) -> list[str]:
    return [str(number) for number in range(1, len(choices) + 1)]


def _gold(answer: Any, choices: Sequence[str], labels: Sequence[str]) -> int:
    """The position of the right choice. Raises ValueError where the answer names none, or two."""
    found: set[int] = set()
    if isinstance(answer, str | int) and not isinstance(answer, bool):
        written = str(answer).strip()
        found = {at for at, choice in enumerate(choices) if choice.strip() == written}
        found |= {at for at, label in enumerate(labels) if label == written}
        if not found and written.isdecimal():  # a cell of CSV
            answer = int(written)
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        found.add(answer)
    if len(found) > 1:
        one, other = sorted(found)[:2]
        raise ValueError(
            f"answer {answer!r} is both {choices[one]!r} and {choices[other]!r}, by label, text or "
            "position; give the text of the right one"
        )
    if not found:
        raise ValueError(
            f"answer {str(answer)[:60]!r} is none of the choices: neither {', '.join(labels)}, nor "
            f"a text of theirs, nor a position from 0 to {len(choices) - 1}"
        )
    return found.pop()


ANSWER = Choice()
