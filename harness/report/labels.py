"""Names of cases as people read them: the axes that differ, by their shortest clear names."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from harness.report.report import CaseReport
from harness.spec.ids import called
from harness.spec.intervention import controls
from harness.spec.named_doses import unit_of


def short_names(axes: Sequence[str]) -> dict[str, str]:
    """Last part of each dotted field, or the whole field where two would be the same."""
    known = controls()
    last = {
        axis: known[axis].axis if axis in known else called(axis).rpartition(".")[2]
        for axis in axes
    }
    taken = Counter(last.values())
    return {axis: name if taken[name] == 1 else axis for axis, name in last.items()}


def varying(
    cases: Sequence[CaseReport], without: str | None = None, always: str | None = None
) -> dict[str, str]:
    """The axes with more than one value among the cases that have them, with their short names.

    One may be left `without`; one is `always` there when any case has it.
    """
    values: dict[str, set[str]] = {}
    for case in cases:
        for axis, value in case.params.items():
            values.setdefault(axis, set()).add(text(value))
    return short_names(
        [axis for axis in values if axis != without and (axis == always or len(values[axis]) > 1)]
    )


def dose_name(cases: Sequence[CaseReport], *, whole: bool = False) -> str:
    """What doses are: the axis by its last part, or whole, or what the names on it stand for."""
    case = next((case for case in cases if case.dose is not None), None)
    if case is None or case.dose_axis is None:
        return "dose"
    intervention = case.settings.get("intervention")
    kind = intervention.get("kind") if isinstance(intervention, dict) else None
    unit = unit_of(kind if isinstance(kind, str) else None, case.dose_axis)
    return unit or (case.dose_axis if whole else case.dose_axis.rpartition(".")[2])


def by_series(cases: Sequence[CaseReport]) -> list[CaseReport]:
    """Cases that differ in their dose only side by side, baseline first, doses rising."""
    series: dict[str, list[CaseReport]] = {}
    for case in cases:
        others = {
            axis: value
            for axis, value in case.params.items()
            if not axis.startswith("intervention.") and axis != case.dose_axis
        }
        series.setdefault(json.dumps(others, sort_keys=True), []).append(case)
    return [
        case
        for one in series.values()
        for case in sorted(one, key=lambda case: (case.baseline is not None, case.dose or 0))
    ]


def label(params: Mapping[str, JsonValue], names: Mapping[str, str]) -> str:
    """`style=agentic, random control` of the named axes that the parameters have."""
    known = controls()
    return ", ".join(
        worded(axis, params[axis]) if axis in known else f"{name}={text(params[axis])}"
        for axis, name in names.items()
        if axis in params
    )


def curve_name(
    word: str, params: Mapping[str, JsonValue], curves: Sequence[Mapping[str, JsonValue]]
) -> str:
    """A curve by the word for what it is of, and by the axes in which curves differ beside it.

    An axis whose values are such words is not named.
    """
    names = [
        axis
        for axis, value in params.items()
        if text(value) != word  # its kind, which is said already
        and any(other.get(axis) != value for other in curves)
    ]
    told = label({axis: params[axis] for axis in names}, short_names(names))
    value = told.partition("=")[2]
    if value.startswith(word):
        return value
    return f"{word}, {told}" if told else word


def worded(axis: str, value: JsonValue) -> str:
    """A parameter's value where its axis is named beside it."""
    control = controls().get(axis)
    if control is not None and control.words is not None:
        for known, word in zip((control.own, control.other), control.words, strict=True):
            if value == known:
                return word
    return text(value)


def dose_text(dose: float) -> str:
    """A dose as axes and lists say it: whole numbers as they are, others with four digits."""
    if dose == math.inf:
        return "∞"
    return f"{dose:.4g}" if abs(dose) < 1000 else f"{dose:g}"


def text(value: JsonValue) -> str:
    """A parameter's value: numbers in their shortest form, words bare, what has a kind by that and
    its settings, the rest as JSON.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict) and isinstance(value.get("kind"), str):
        rest = [f"{name}={text(each)}" for name, each in value.items() if name != "kind"]
        return " ".join([str(value["kind"]), *rest])
    return json.dumps(value, ensure_ascii=False)
