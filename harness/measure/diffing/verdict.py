"""What is said of the tokens that a method lists: every place of its lists, with its labels.

A place is a rank of a list, whether a token stands in it or not, so that the lists of a model that
differs in nothing have as many places as any other's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from statistics import fmean
from typing import Any, TypeAlias

from pydantic import JsonValue

from harness.measure.diffing.evidence import Candidate, Evidence
from harness.measure.diffing.judging import Judged, ModelAsker, judged
from harness.measure.diffing.relevance import Facts, Label, agreed
from harness.measure.diffing.section import DiffSettings

Places: TypeAlias = Mapping[str, Candidate | None]
_SAID = {0.0: "IRRELEVANT", 1.0: "RELEVANT", None: "UNKNOWN"}


@dataclass(frozen=True)
class PlaceLabels:
    """Labels of the places, in their order; those of an empty one are IRRELEVANT.

    ratings: by rater. labels: agreed upon. unknown: the share of raters that said nothing.
    rotations: how many raters each judge is, in their order.
    """

    ratings: list[list[Label]]
    labels: list[Label]
    raters: list[str]
    rotations: list[int]
    unknown: list[float]
    tokens: int
    answers: list[Mapping[str, Any]]
    prompt: str


def places_of(evidence: Evidence, lists: Sequence[str], count: int) -> Places:
    """What stands in each of the first `count` places of every list, by the place's name."""
    groups = evidence.groups
    return {
        f"{name or evidence.method} {rank + 1:0{len(str(count))}d}": (
            groups[name][rank] if name in groups and rank < len(groups[name]) else None
        )
        for name in lists
        for rank in range(count)
    }


def verdict_on(
    places: Places, facts: Facts, settings: DiffSettings, judges: Sequence[ModelAsker]
) -> PlaceLabels:
    """Ask every judge of the settings, `judges` in their order, or else the facts themselves.

    Raises:
        MetricError: a judge gave no answer at all.
    """
    words = [each.text for each in places.values() if each is not None]
    found = [
        judged(words, facts, judge, asker, f"{judge.model} {number}")
        for number, (judge, asker) in enumerate(zip(settings.judges, judges, strict=True), start=1)
    ] or [Judged([[facts.label(word)] for word in words], ["facts"])]
    joined = zip(*(each.ratings for each in found), strict=True)
    rows = iter([list(chain.from_iterable(row)) for row in joined])
    unknown = iter([fmean(each) for each in zip(*(one.unknown for one in found), strict=True)])
    raters = [name for each in found for name in each.raters]
    nothing: list[Label] = [0.0] * max(len(raters), 1)
    ratings = [nothing if each is None else next(rows) for each in places.values()]
    return PlaceLabels(
        ratings,
        [agreed(row, settings.agreement) for row in ratings],
        raters,
        [len(each.raters) for each in found if each.raters] or [1],
        [0.0 if each is None else next(unknown) for each in places.values()],
        sum(each.tokens for each in found),
        [answer for each in found for answer in each.answers],
        ", ".join(dict.fromkeys(each.prompt for each in found if each.prompt)),
    )


def values_of(
    places: Places, facts: Facts, verdict: PlaceLabels, chance: float
) -> dict[str, list[JsonValue]]:
    """Every metric's value of every place; `chance` is the same for all.

    A place in which no token stands is not relevant, and raters have not agreed on it. Of several
    judges each has one share of relevance, the mean of its rotations, which are not independent.
    """
    said = [_by_judge(row, verdict.rotations) for row in verdict.ratings]
    weights = [0.0 if each is None else each.weight for each in places.values()]
    words = ["" if each is None else each.text for each in places.values()]
    return {
        "relevance": [list(row) for row in said],
        "weighted_relevance": [
            [*(weight * each for each in row), weight]
            for weight, row in zip(weights, said, strict=True)
        ],
        "agreed_relevance": [float(each == 1) for each in verdict.labels],
        "trivial": [facts.trivial(word) if word else 0.0 for word in words],
        "chance": [chance] * len(places),
        "alpha": [
            [] if each is None else list(row)
            for each, row in zip(places.values(), verdict.ratings, strict=True)
        ],
        "unknown": list(verdict.unknown),
        "judge_tokens": [verdict.tokens / len(places)] * len(places),
    }


def _by_judge(row: Sequence[Label], rotations: Sequence[int]) -> list[float]:
    """A rating of every judge, or of every rotation of the only one."""
    relevant = iter([float(each == 1) for each in row])
    if len(rotations) == 1:
        return list(relevant)
    return [fmean(islice(relevant, count)) for count in rotations]


def evaluation(places: Places, facts: Facts, verdict: PlaceLabels, settings: DiffSettings) -> str:
    """What was judged, by whom, as JSON."""
    document = {
        "organism": facts.name,
        "prompt": verdict.prompt,
        "agreement": settings.agreement,
        "raters": verdict.raters,
        "judge_tokens": verdict.tokens,
        "places": [
            {
                "place": place,
                "token": candidate.token,
                "text": candidate.text,
                "weight": candidate.weight,
                "label": _SAID[label],
                "ratings": [_SAID[each] for each in row],
                "trivial": bool(facts.trivial(candidate.text)),
            }
            for (place, candidate), label, row in zip(
                places.items(), verdict.labels, verdict.ratings, strict=True
            )
            if candidate is not None
        ],
        "answers": verdict.answers,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
