"""Minimal pairs of English grammar: two sentences that differ in one word, of which one is right.

    python -m tools.studies.minimal_pairs specs/data

    {"id": "attractor/0", "good": "The key to the cabinets is old.",
     "bad": "The key to the cabinets are old.", "answer": 0}

Kinds after BLiMP (Warstadt et al. 2020, arXiv:1912.00582), with words and sentences of our own:

- attractor: the verb agrees with its subject, behind a noun of the other number
- relative: the same, the noun stands in a relative clause
- polarity: `ever` needs a negation that it lies in the scope of
- reflexive: himself, herself and themselves agree with the subject, not with the nearer noun

A choice is a whole sentence, scored by its log-likelihood.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random

COUNT = 50
Pair = tuple[str, str]

_THINGS = (
    ("key", "cabinet"), ("picture", "flower"), ("label", "bottle"), ("story", "soldier"),
    ("door", "garden"), ("letter", "lawyer"), ("handle", "drawer"), ("book", "king"),
    ("sign", "road"), ("path", "house"), ("song", "bird"), ("report", "storm"), ("map", "river"),
)  # fmt: skip
_LINKS = {"key": "to", "path": "to", "door": "to", "letter": "from", "label": "on", "sign": "for"}
_STATES = ("old", "here", "very small", "quite new", "hard to find")
_PEOPLE = ("teacher", "doctor", "farmer", "pilot", "singer", "student", "guard", "baker", "driver")
_SEEN = (("likes", "like"), ("knows", "know"), ("visits", "visit"), ("helps", "help"))
_DONE = ("been famous", "seen the sea", "told a lie", "won a prize", "been to Paris")
_HURT = ("hurt", "blamed", "trusted", "praised", "watched")
_HIM = ("king", "father", "uncle", "waiter", "monk")
_HER = ("queen", "mother", "aunt", "waitress", "nun")


def attractors() -> Iterator[Pair]:
    """The key to the cabinets is old."""
    for (head, other), state, plural in product(_THINGS, _STATES, (False, True)):
        link = _LINKS.get(head, "of")
        good, bad = ("are", "is") if plural else ("is", "are")
        subject = f"The {_plural(head) if plural else head} {link} the "
        subject += other if plural else _plural(other)
        yield f"{subject} {good} {state}.", f"{subject} {bad} {state}."


def relatives() -> Iterator[Pair]:
    """The teacher that the pilots like is old."""
    for (one, other), (likes, like), plural in product(_two(_PEOPLE), _SEEN, (False, True)):
        good, bad = ("are", "is") if plural else ("is", "are")
        subject = (
            f"The {one}s that the {other} {likes}"
            if plural
            else f"The {one} that the {other}s {like}"
        )
        yield f"{subject} {good} at home.", f"{subject} {bad} at home."


def polarities() -> Iterator[Pair]:
    """No teacher that the pilots like has ever told a lie: the negation inside a clause is none."""
    for (one, other), (_, like), done in product(_two(_PEOPLE), _SEEN, _DONE):
        right = f"No {one} that the {other}s {like} has ever {done}."
        yield right, f"The {one} that no {other}s {like} has ever {done}."


def reflexives() -> Iterator[Pair]:
    """The king near the nun hurt himself."""
    for (him, her), hurt, female in product(product(_HIM, _HER), _HURT, (False, True)):
        one, other = (her, him) if female else (him, her)
        good, bad = ("herself", "himself") if female else ("himself", "herself")
        yield (
            f"The {one} near the {other} {hurt} {good}.",
            f"The {one} near the {other} {hurt} {bad}.",
        )


KINDS: dict[str, Callable[[], Iterator[Pair]]] = {
    "attractor": attractors,
    "relative": relatives,
    "polarity": polarities,
    "reflexive": reflexives,
}


def records(kind: str) -> list[dict[str, str | int]]:
    """A fixed random choice of a kind's pairs."""
    chosen = Random(kind).sample([*KINDS[kind]()], COUNT)
    return [
        {"id": f"{kind}/{n}", "good": good, "bad": bad, "answer": 0}
        for n, (good, bad) in enumerate(chosen)
    ]


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun != "key" else f"{noun}s"


def _two(nouns: tuple[str, ...]) -> list[Pair]:
    return [(one, other) for one, other in product(nouns, nouns) if one != other]


if __name__ == "__main__":
    for kind in KINDS:
        lines = "".join(f"{json.dumps(record)}\n" for record in records(kind))
        (Path(sys.argv[1]) / f"minimal_pairs_{kind}.jsonl").write_text(lines)
