"""What the texts of claims are made of, and what every kind of claim says of its own."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from harness.spec.gates.where import CaseGrid, Selection

METRIC = r"[A-Za-z_][A-Za-z0-9_@-]*"
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
AXIS = r"[A-Za-z_][A-Za-z0-9_.]*"


class ClaimKind:
    """Base of the kinds of claims: how one is written, read, and checked against a grid.

    A kind is a frozen dataclass whose `kind` is its name in a report's JSON. How it is judged is
    said in the file of the same name in `harness/claims/`.
    """

    __slots__ = ()

    FORM: ClassVar[str]
    """How it is written, as an error message shows it."""
    PATTERN: ClassVar[str]
    """A regular expression of its text, without `where`."""
    WORDS: ClassVar[tuple[str, ...]] = ()
    """Words that tell, in a text that fits no kind, that this one was meant."""

    @classmethod
    def read(cls, groups: Sequence[Any], where: Selection) -> Self:
        """The claim that the groups of `PATTERN` state; a ValueError says what makes no sense."""
        raise NotImplementedError

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError unless the cases that it speaks of are in a grid."""
        raise NotImplementedError


def level(text: str) -> float:
    """A level of significance; raises ValueError for a number that cannot be one."""
    if not 0 < float(text) < 0.5:
        raise ValueError(f"p < {text}; it should lie between 0 and 0.5")
    return float(text)


def close(word: str, words: Sequence[str]) -> str:
    """` did you mean x?`, or nothing."""
    found = difflib.get_close_matches(word, words, n=1)
    return f" did you mean {found[0]}?" if found else ""
