"""Stored completions as the analyses of draws see them: lines of samples.jsonl, a few numbers each.

A line has `case`, `sample`, `correct`, `tokens`; `answer` where the task names answers, and
`traces` where ranks and confidence were logged (columns `rank` and `top_probability`). Whoever has
such lines, of a report or of another program's samples, has all that is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple, TypeAlias

from harness.statistics.votes import DrawnAnswer, DrawOrders, orders

LOW = 0.3
"""A token is of low confidence where the most probable one has less than this."""


class Ranks(NamedTuple):
    """The ranks of a completion's tokens, from 1 on, and how many are of low confidence."""

    mean: float
    most: int
    low: int


class Drawn(NamedTuple):
    """One completion; `ranks` are None where none were logged, or it has no token."""

    draw: DrawnAnswer
    ranks: Ranks | None


@dataclass(frozen=True, eq=False)
class SampleDraws:
    """All completions of one sample."""

    drawn: tuple[Drawn, ...]

    @cached_property
    def orders(self) -> DrawOrders:
        """What the first ones of them are worth."""
        return orders([each.draw for each in self.drawn])


Samples: TypeAlias = Mapping[str, SampleDraws]


def of_records(records: Iterable[Mapping[str, Any]]) -> dict[str, Samples]:
    """Case -> sample -> its completions, in the order of the lines.

    Samples of which some completion is neither right nor wrong are left out.
    """
    found: dict[str, dict[str, list[Drawn]]] = {}
    unscored: set[tuple[str, str]] = set()
    for record in records:
        case, sample = str(record["case"]), str(record["sample"])
        if record["correct"] is None:
            unscored.add((case, sample))
            continue
        draw = DrawnAnswer(record.get("answer"), bool(record["correct"]), int(record["tokens"]))
        ranks = _ranks(record.get("traces") or {})
        found.setdefault(case, {}).setdefault(sample, []).append(Drawn(draw, ranks))
    return {
        case: {
            sample: SampleDraws(tuple(drawn))
            for sample, drawn in samples.items()
            if (case, sample) not in unscored
        }
        for case, samples in found.items()
    }


def _ranks(traces: Mapping[str, Any]) -> Ranks | None:
    ranks, sure = traces.get("rank"), traces.get("top_probability")
    if not ranks or sure is None:
        return None
    return Ranks(fmean(ranks), int(max(ranks)), sum(each < LOW for each in sure))
