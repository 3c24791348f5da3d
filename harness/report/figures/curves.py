"""Which cases make a dose-response curve, and where on the dose axis each of them stands."""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from harness.report.dose_report import DoseReport
from harness.report.labels import label, varying
from harness.report.report import CaseReport, RunReport
from harness.spec.intervention import controls
from harness.tasks.base import TOOL_CALL

#: A case with its dose.
Dosed = tuple[float, CaseReport]
#: Doses whose largest gap is this many times the smallest would crowd on a linear axis.
_CROWDED = 3.0
#: Straight pieces of which Hill's curve is drawn.
_HILL_STEPS = 96
#: A value as labels write it, and digits inside of a word.
_NUMBER = re.compile(r"((?<==)-?\d+(?:\.\d+)?(?:e[+-]\d+)?|\d+)")


#: What every task counts, of which none says what the task is about.
_OF_EVERY_TASK = frozenset({"parsed", "cut", TOOL_CALL})


def shown_metrics(cases: Sequence[CaseReport]) -> list[str]:
    """The metrics that are shown side by side: the primary one, and what it leaves unsaid.

    A model that is steered from answering to calling a tool gets worse at answering: one curve
    without the other would not say how. So tool calls stand beside the primary metric, if any were
    made, with all that the spec asks for, and the task's own beside one that was put in its place.
    One that no sample changes is told once, and is shown where it is the primary one.
    """
    called = any(TOOL_CALL in case.metrics and case.metrics[TOOL_CALL].value for case in cases)
    same = constants(cases)
    others = [*_told_metrics(cases), *([TOOL_CALL] if called else []), *_window(cases)]
    primary = [case.metric for case in cases][:1]
    return list(dict.fromkeys([*primary, *(name for name in others if name not in same)]))


def _window(cases: Sequence[CaseReport]) -> list[str]:
    """The two metrics of the window that the spec asks for."""
    asked = cases[0].settings.get("window") if cases else None
    if not isinstance(asked, dict):
        return []
    measured = {name for case in cases for name in case.metrics}
    named = [asked.get("target"), asked.get("capability")]
    return [name for name in named if isinstance(name, str) and name in measured]


def told_constants(cases: Sequence[CaseReport]) -> dict[str, float]:
    """Of the metrics that the cases are about, those that are constant."""
    same = constants(cases)
    return {name: same[name] for name in _told_metrics(cases) if name in same}


def _told_metrics(cases: Sequence[CaseReport]) -> list[str]:
    """What cases are about: the primary metric, those that a spec asks for, the task's own."""
    measured = {name: None for case in cases for name in case.metrics}
    primary = [case.metric for case in cases if case.metric in measured][:1]
    asked = [name for case in cases[:1] for name in case.asked_metrics if name in measured]
    own = [name for name in measured if name not in _OF_EVERY_TASK][:1]
    return list(dict.fromkeys([*primary, *asked, *own]))


def constants(cases: Sequence[CaseReport]) -> dict[str, float]:
    """The metrics that are the same in every case, and there in every sample, with their values.

    Of cases that were compared: without a comparison nothing says what single samples did.
    """
    complete = [case for case in cases if case.status == "complete"]
    found: dict[str, float] = {}
    for name in {name: None for case in complete for name in case.metrics}:
        values = {case.metrics[name].value for case in complete if name in case.metrics}
        versus = [case.versus_baseline[name] for case in complete if name in case.versus_baseline]
        if len(values) == 1 and versus and not any(each.better or each.worse for each in versus):
            found[name] = values.pop()
    return found


def by_dose(report: RunReport, cases: Sequence[CaseReport]) -> list[Dosed]:
    """The cases on the curves with their doses, ascending: all that are not baselines."""
    baselines = report.baselines
    found = [
        (case.dose, case) for case in cases if case.dose is not None and case.id not in baselines
    ]
    return sorted(found, key=lambda pair: pair[0])


def curves(treated: Sequence[Dosed]) -> dict[str, list[Dosed]]:
    """The curves by their labels, numbers in them rising: one per combination of other axes.

    A control comes right after what it controls.
    """
    names = varying([case for _, case in treated], without=treated[0][1].dose_axis)
    families = {axis: name for axis, name in names.items() if axis not in controls()}
    found: dict[str, list[Dosed]] = {}
    for dose, case in treated:
        found.setdefault(label(case.params, names), []).append((dose, case))

    def place(name: str) -> tuple[list[str | tuple[float, str]], bool]:
        case = found[name][0][1]
        return _natural(label(case.params, families)), is_control(case)

    return {name: found[name] for name in sorted(found, key=place)}


def is_control(case: CaseReport) -> bool:
    """Whether a case ran a control in place of its intervention."""
    return any(case.params.get(axis) == control.other for axis, control in controls().items())


def places_of(doses: Collection[float]) -> dict[float, float]:
    """Where each dose is drawn: to scale, or by rank where it would crowd to scale.

    One without end stands as far behind the last as doses are apart at most, and never to scale.
    """
    ordered = sorted(set(doses) - {math.inf})
    gaps = [b - a for a, b in pairwise(ordered)]
    crowded = bool(gaps) and max(gaps) >= _CROWDED * min(gaps)
    places = {dose: float(rank) if crowded else dose for rank, dose in enumerate(ordered)}
    if math.inf in doses:
        widest = 1.0 if crowded else max(gaps, default=1.0)
        places[math.inf] = max(places.values(), default=0.0) + widest
    return places


def are_even(places: Mapping[float, float]) -> bool:
    """Whether doses are drawn by their rank, and not to scale."""
    return any(dose != place for dose, place in places.items() if dose != math.inf)


def break_of(places: Mapping[float, float]) -> float | None:
    """Where the axis is broken, between the last dose and one without end; None without both."""
    if math.inf not in places or len(places) < 2:
        return None
    return (places[math.inf] + max(place for dose, place in places.items() if dose != math.inf)) / 2


def place_of(
    dose: float, doses: Sequence[float], scale: str, places: Mapping[float, float]
) -> float:
    """Where a dose between two measured ones is drawn: straight on the curve's own scale.

    Args:
        dose: The one to draw.
        doses: Those of its curve, rising.
        scale: Over what the curve is straight: linear, or log2(dose + 1).
        places: Where measured doses are drawn.
    """
    known = [each for each in doses if each in places]
    if len(known) < 2:  # a single dose is drawn, beside a baseline that has no place
        return min(places.values(), key=lambda place: abs(place - dose))
    scaled = [each if scale == "linear" else math.log2(each + 1) for each in (dose, *known)]
    after = min(max(bisect(scaled[1:], scaled[0]), 1), len(known) - 1)
    low, high = scaled[after], scaled[after + 1]
    part = min(max((scaled[0] - low) / (high - low), 0.0), 1.0) if high > low else 0.0
    return places[known[after - 1]] * (1 - part) + places[known[after]] * part


def hill_of(found: DoseReport, places: Mapping[float, float]) -> list[tuple[float, float]]:
    """Where Hill's curve is drawn, and its height there; nothing where the data reject it."""
    if found.slope is None:
        return []
    counted = found.scale != "linear"
    first, last = (math.log2(d + 1) if counted else d for d in (found.doses[0], found.doses[-1]))
    steps = [first + (last - first) * at / _HILL_STEPS for at in range(_HILL_STEPS + 1)]
    doses = [2**step - 1 if counted else step for step in steps]
    heights = [found.slope.at(dose) for dose in doses]
    return [
        (place_of(dose, found.doses, found.scale, places), height)
        for dose, height in zip(doses, heights, strict=True)
        if height is not None
    ]


def _natural(name: str) -> list[str | tuple[float, str]]:
    """A key that puts seed=2 before seed=10: words and numbers by turns, never compared."""
    parts = _NUMBER.split(name)
    return [(float(part), part) if at % 2 else part for at, part in enumerate(parts)]
