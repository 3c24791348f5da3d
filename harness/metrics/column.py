"""Token columns: a number for each generated token, by name, as pages and samples show it.

A completion brings some along (`Completion.traces`, such as the doses that a policy chose); others
are counted of it where a spec asks: `columns: [log_probability]`. The first word of a name is the
column's, what follows says of what: `alpha styles` is `alpha`, of the property `styles`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
        apart: Whether each of its numbers has a scale of its own in that figure; doses share one.
        logged: Whether completions bring it along only where engines are asked for a log of every
            step.
    """

    name: str
    summary: str
    unit: str = ""
    value: Callable[[Answer], Sequence[float]] | None = None
    drawn: bool = True
    apart: bool = False
    logged: bool = False


ALPHA = TokenColumn("alpha", "dose that was chosen for a property, token by token")
AUTHOR = TokenColumn(
    "author",
    "who wrote the token: 0 the model itself, n the oracle when it was asked n times",
    drawn=False,
)
WORTH = TokenColumn(
    "worth", "what asking here is worth: 1 a wrong answer becomes right, -1 a right one wrong"
)
ASKED = TokenColumn(
    "asked", "what was read of the model at the last occasion to ask; 0 for none", apart=True
)
LOOKED = TokenColumn(
    "looked",
    "weight of the token for the model's last layer when it asked for the n-th time",
    drawn=False,
)
STEP = TokenColumn("step", "what was read of the model where the token was to come", apart=True)
LOG_PROBABILITY = TokenColumn(
    "log_probability",
    "natural logarithm of the model's own probability of the token, sampling rules left out",
    "nats",
    lambda answer: answer.log_probabilities,
    drawn=False,
)


def _step(name: str, summary: str, unit: str = "") -> TokenColumn:
    return TokenColumn(name, summary, unit, drawn=False, logged=True)


STEPS = (
    _step("rank", "1 for the model's most probable token, whatever rules do"),
    _step("probability", "the model's own, of the token"),
    _step("top_probability", "the model's own, of its most probable token"),
    _step("entropy", "of the model's own distribution", "nats"),
    _step("drawn_rank", "1 for the most probable token that sampling rules left"),
    _step("drawn_probability", "with which the token was drawn under all sampling rules"),
    _step("drawn_top_probability", "of the most probable token under all sampling rules"),
    _step("drawn_entropy", "of what the token was drawn from", "nats"),
)
"""What a log of every step says, before the sampling rules and after them."""
RANK, PROBABILITY, TOP_PROBABILITY, ENTROPY = STEPS[:4]
DRAWN_RANK, DRAWN_PROBABILITY, DRAWN_TOP_PROBABILITY, DRAWN_ENTROPY = STEPS[4:]


def logged(names: Iterable[str]) -> bool:
    """Whether columns of these names need a log of every step."""
    return any(column_of(name).logged for name in names)


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
    found = {
        name: list(values)
        for name, values in traces.items()
        if name in asked or not column_of(name).logged
    }
    for name in asked:
        value = column_of(name).value
        if value is not None and name not in found:
            numbers = list(value(answer))
            found |= {name: numbers} if numbers else {}
    return found
