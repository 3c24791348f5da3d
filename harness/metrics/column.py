"""Token columns: a number for each generated token, by name, as pages and samples show it.

A completion brings some along (`Completion.traces`, such as the doses that a policy chose); others
are counted of it where a spec asks: `columns: [log_probability]`. The first word of a name is the
column's, what follows says of what: `alpha styles` is `alpha`, of the property `styles`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness import registry
from harness.metrics.entry import Answer


@dataclass(frozen=True)
class TokenColumn:
    """One column.

    Args:
        name: As specs and samples call it.
        summary: What it is, in a line.
        unit: Of its numbers; empty where they have none.
        value: From an answer to a number for each of its tokens, or to none of them where it is not
            known. None for what completions bring along.
        drawn: Whether its mean by position is a figure of the report.
    """

    name: str
    summary: str
    unit: str = ""
    value: Callable[[Answer], Sequence[float]] | None = None
    drawn: bool = True


ALPHA = TokenColumn("alpha", "dose that was chosen for a property, token by token")
LOG_PROBABILITY = TokenColumn(
    "log_probability",
    "natural logarithm of the model's own probability of the token, sampling rules left out",
    "nats",
    lambda answer: answer.log_probabilities,
    drawn=False,
)


def column_of(name: str) -> TokenColumn:
    """The column of this name; an unregistered one has no description."""
    first = name.partition(" ")[0]
    known = next((each for each in (name, first) if each in registry.columns), None)
    found: TokenColumn = TokenColumn(name, "") if known is None else registry.columns.get(known)
    return found


def columns_of(
    answer: Answer, traces: Mapping[str, Sequence[float]], asked: Sequence[str]
) -> dict[str, list[float]]:
    """Name -> number per token: what a completion brought along, and what is asked of it."""
    found = {name: list(values) for name, values in traces.items()}
    for name in asked:
        value = column_of(name).value
        if value is not None and name not in found:
            numbers = list(value(answer))
            found |= {name: numbers} if numbers else {}
    return found
