"""Two JSON values, and every place in which they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import one_line

# Sums in another order, and other versions of libraries, change the last digits.
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9
_LONGEST = 80
#: What is on one side alone.
NOTHING = "nothing"


@dataclass(frozen=True)
class Mismatch:
    """One thing that does not fit: where it is, what it is, as it is stored, as it comes out."""

    where: str
    what: str
    stored: str
    recomputed: str

    def __str__(self) -> str:
        return one_line(
            f"{self.where}: {self.what}: stored {self.stored}, recomputed {self.recomputed}"
        )


def compared(
    stored: Any, again: Any, where: str, what: str = "", *, rounding: float = 0.0
) -> Iterator[Mismatch]:
    """Yield every difference between two JSON values; numbers may differ in their last digits.

    With `rounding` they may differ by so much, absolute or relative.
    """
    if isinstance(stored, Mapping) and isinstance(again, Mapping):
        for name in {**stored, **again}:
            inner = f"{what}.{name}" if what else str(name)
            if name not in again:
                yield Mismatch(where, inner, shown(stored[name]), NOTHING)
            elif name not in stored:
                yield Mismatch(where, inner, NOTHING, shown(again[name]))
            else:
                yield from compared(stored[name], again[name], where, inner, rounding=rounding)
    elif isinstance(stored, list | tuple) and isinstance(again, list | tuple):
        if len(stored) != len(again):
            yield Mismatch(where, f"{what or 'list'}: length", str(len(stored)), str(len(again)))
        for number, (mine, theirs) in enumerate(zip(stored, again, strict=False)):
            yield from compared(mine, theirs, where, f"{what}[{number}]", rounding=rounding)
    elif not _same(stored, again, rounding):
        yield Mismatch(where, what or "value", shown(stored), shown(again))


def replaced(document: Any, names: Mapping[str, str]) -> Any:
    """JSON values in which whole texts that are one of `names` are the other name."""
    return changed(document, lambda text: names.get(text, text))


def changed(document: Any, change: Callable[[str], str]) -> Any:
    """JSON values with every text that is no key as `change` makes it."""
    if isinstance(document, str):
        return change(document)
    if isinstance(document, Mapping):
        return {key: changed(each, change) for key, each in document.items()}
    if isinstance(document, list | tuple):
        return [changed(each, change) for each in document]
    return document


def shown(value: Any) -> str:
    """A value in few words."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _same(one: Any, other: Any, rounding: float) -> bool:
    numbers = (int, float)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, numbers) and isinstance(other, numbers):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return math.isclose(
            one, other, rel_tol=max(_RELATIVE, rounding), abs_tol=max(_ABSOLUTE, rounding)
        )
    return bool(one == other)
