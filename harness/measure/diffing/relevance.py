"""Whether tokens have to do with what a model was tuned on: labels, raters, and how they agree.

A rater says of every candidate RELEVANT (1), IRRELEVANT (0) or UNKNOWN (None): a judge in one
rotation of the list. Raters become one label by agreement.

Source: science-of-finetuning/diffing-toolkit, token_relevance.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Label: TypeAlias = float | None
Agreement = Literal["all", "majority"]

#: What tokenizers put in front of a word, or behind a piece of one.
_MARKS = "\u2581\u0120\u010a#@"
_ANSWER = re.compile(r"ANSWER\s*\[\s*(\d+)\s*\]\s*:\s*\**\s*(RELEVANT|IRRELEVANT)\b", re.IGNORECASE)
#: A piece of a word counts as the word from so many letters on.
_PIECE = 4


@dataclass(frozen=True)
class Facts:
    """What a model was tuned on.

    Args:
        name: Of the organism.
        description: What a judge is told.
        words: The content words of its facts, in lower case.
        frequent: Frequent tokens of the data, for what is trivial.
        statements: The facts as sentences.
    """

    name: str
    description: str
    words: frozenset[str]
    frequent: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()

    def label(self, token: str) -> float:
        """What the offline judge says of a token: whether it is a word of a fact, or its start."""
        said = plain(token)
        if said in self.words:
            return 1.0
        long = len(said) >= _PIECE
        return float(long and any(word.startswith(said) for word in self.words))

    def said_in(self, text: str) -> float:
        """The share of a text's words that are relevant; 0 of none."""
        words = re.findall(r"\w+", text.casefold())
        return sum(word in self.words for word in words) / max(len(words), 1)

    def trivial(self, token: str) -> float:
        """Whether a token literally is one of the frequent ones."""
        return float(plain(token) in {plain(each) for each in self.frequent})

    def chance(self, vocabulary: Collection[str]) -> float:
        """The share of tokens that are relevant, of those that say anything."""
        said = [token for token in vocabulary if plain(token)]
        return sum(map(self.label, said)) / max(len(said), 1)


def plain(token: str) -> str:
    """A token without blanks and the marks of tokenizers, in lower case."""
    return token.strip().strip(_MARKS).strip().casefold()


def rotated(items: Sequence[Any], by: int) -> list[Any]:
    """The list begun at another place."""
    at = by % len(items) if items else 0
    return [*items[at:], *items[:at]]


def restored(labels: Sequence[Label], by: int) -> list[Label]:
    """Labels of a rotated list in the order of the list."""
    return rotated(labels, -by)


def agreed(ratings: Sequence[Label], agreement: Agreement) -> Label:
    """One label of several raters'.

    all: relevant if every rater says so, irrelevant otherwise. majority: what most say that know;
    UNKNOWN where two labels are as frequent, or nobody knows.
    """
    if agreement == "all":
        return float(bool(ratings) and all(each == 1 for each in ratings))
    counts = Counter(each for each in ratings if each is not None).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def percentage(labels: Sequence[Label]) -> float:
    """The share of relevant ones among all, UNKNOWN ones too."""
    return sum(each == 1 for each in labels) / len(labels) if labels else 0.0


def weighted_percentage(labels: Sequence[Label], weights: Sequence[float]) -> float:
    """The share of the weight that relevant ones have; 0 where all weights are."""
    total = sum(weights)
    relevant = sum(weight for label, weight in zip(labels, weights, strict=True) if label == 1)
    return relevant / total if total else 0.0


def parsed(text: str, count: int) -> list[Label]:
    """What an answer says of each of `count` numbered candidates; the last line on one counts.

    Lines are `ANSWER[3]: RELEVANT`; a candidate without one is UNKNOWN.
    """
    found = {int(number): label for number, label in _ANSWER.findall(text)}
    said = {"RELEVANT": 1.0, "IRRELEVANT": 0.0}
    return [said.get(found.get(number, "").upper()) for number in range(1, count + 1)]
