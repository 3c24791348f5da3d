"""`same across AXIS`: an axis that must change nothing, such as the engine, changes nothing.

Cases that differ in this axis alone, baselines among them, must have generated the same tokens,
draw by draw, with log-probabilities within 1e-4 of each other; forward passes must have measured
the same numbers to 1e-3, relative or absolute. Meant for float32: 16-bit types round more.

Undecided: a case that another value of the axis has no match for, one that is not complete, and two
of which one has samples, draws or metrics that the other lacks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from harness.claims.evidence import ClaimEvidence, Undecided, chosen, more
from harness.spec.gates import SameAcross, Selection
from harness.spec.gates.where import axis_named
from harness.store.results import CaseResult, Departure

LOG_PROBABILITIES = 1e-4
MEASURED = 1e-3


def same_across(claim: SameAcross, evidence: ClaimEvidence) -> tuple[bool, str]:
    """Whether every case equals its matches along the axis, and the first that does not.

    Raises:
        Undecided: there is no such case, or one without its match.
    """
    compared = equal = 0
    departed: list[str] = []
    for one, *others in _groups(claim, evidence.cases):
        for other in others:
            compared += 1
            found = list(_departures(one, other))
            if found:
                which = f"{other.case.id} and {one.case.id} differ, first in {found[0]}"
                departed.append(which + more(found))
            equal += not found
    detail = f"{equal} of {compared} cases equal their match along {claim.axis}"
    if departed:
        return False, f"{detail}; {departed[0]}" + more(departed)
    return True, detail


def _groups(claim: SameAcross, cases: Sequence[CaseResult]) -> list[list[CaseResult]]:
    """Cases that differ in the axis alone, in the order of the axis."""
    wanted = chosen(cases, claim.where)
    if claim.where == Selection():
        baselines = {each.baseline for each in cases}
        wanted = wanted + [each for each in cases if each.case.id in baselines]
    groups: dict[str, list[CaseResult]] = {}
    values: set[str] = set()
    for each in wanted:
        axis = axis_named(claim.axis, each.case.params)
        if axis is None:  # a baseline of cases that differ in what they intervene
            continue
        others = {name: value for name, value in each.case.params.items() if name != axis}
        key = json.dumps([others, each.baseline is None], sort_keys=True)
        groups.setdefault(key, []).append(each)
        values.add(json.dumps(each.case.params[axis]))
    if len(values) < 2:
        raise Undecided(f"{claim.axis} has one value in the cases that were run")
    for group in groups.values():
        if len(group) < len(values):
            raise Undecided(f"{group[0].case.id} has no match for every value of {claim.axis}")
        unfinished = [each for each in group if each.status != "complete"]
        if unfinished:
            raise Undecided(f"{unfinished[0].case.id} is {unfinished[0].status}{more(unfinished)}")
    return list(groups.values())


def _departures(one: CaseResult, other: CaseResult) -> Iterator[str]:
    if _answered(one) != _answered(other):
        raise Undecided(f"{other.case.id} and {one.case.id} were not asked the same")
    expected = {(draw.sample, draw.draw): draw.completion for draw in one.draws}
    for draw in other.draws:
        departure = Departure.between(
            draw.sample,
            draw.completion,
            expected[draw.sample, draw.draw],
            tolerance=LOG_PROBABILITIES,
        )
        if departure is not None:
            yield str(departure)
    if one.measure.reads:
        yield from _different_numbers(one, other)


def _answered(case: CaseResult) -> set[tuple[object, ...]]:
    """All that a case can be compared in: its draws, and the samples of every metric."""
    draws = {(draw.sample, draw.draw) for draw in case.draws}
    return draws | {(name, *each) for name, each in case.sample_metrics.items()}


def _different_numbers(one: CaseResult, other: CaseResult) -> Iterator[str]:
    for metric, values in other.sample_metrics.items():
        for sample, value in values.items():
            expected = one.sample_metrics[metric][sample]
            if not _alike(value, expected):
                yield f"{metric} of {sample}: {_shown(value)} instead of {_shown(expected)}"


def _alike(value: JsonValue, expected: JsonValue) -> bool:
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(_alike, value, expected))
    if isinstance(value, int | float) and isinstance(expected, int | float):
        return math.isclose(value, expected, rel_tol=MEASURED, abs_tol=MEASURED)
    return value == expected


def _shown(value: JsonValue) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)
