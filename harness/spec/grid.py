"""The cases of an experiment: the product of its axes in the order written, each one checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import BaseModel, JsonValue

from harness.errors import FieldError
from harness.spec.case import Case
from harness.spec.complaints import displayed, validated
from harness.spec.doses import number_of
from harness.spec.experiment import Experiment
from harness.spec.form import fields, resolved
from harness.spec.gates import CaseGrid, Gate, parse_gate
from harness.spec.ids import axis_parts, case_id, content
from harness.spec.layers import put
from harness.spec.measure import measure_named
from harness.spec.measure_sections import sections
from harness.spec.named_doses import dose_of, unit_of
from harness.spec.origins import SpecSource
from harness.spec.suggestion import suggestion
from harness.spec.treatment import dosed_rule, lies_in, treatment

MOST_CASES = 100_000
"""A larger grid is a slip of the pen: even planning it would take minutes."""

_ONE_PER_EXPERIMENT = {
    "axes",
    "dose",
    "gates",
    "columns",
    "measure",
    "metrics",
    "name",
    "requires",
    "resources",
    "search",
    "stop",
    "window",
}


def expand(experiment: Experiment, source: SpecSource | None = None) -> list[Case]:
    """All cases, the last axis varying fastest; what is impossible is a SpecError at its line.

    Cases that differ only in the intervention share one baseline object.
    """
    source = source or SpecSource.of(experiment)
    experiment = _with_control(experiment)
    try:
        _check(experiment)
    except FieldError as error:
        raise source.locate(error) from None
    return _cases(experiment, source)


def _with_control(experiment: Experiment) -> Experiment:
    """An intervention with a control runs beside it, unless the spec says otherwise."""
    settings, axes = experiment.intervention, experiment.axes
    if settings is None or not settings.leaves_control_open:
        return experiment
    added = {f"intervention.{name}": both for name, both in settings.control_axis().items()}
    if "intervention" in axes or not axes.keys().isdisjoint(added):
        return experiment
    return experiment.model_copy(update={"axes": {**axes, **added}})


def _cases(experiment: Experiment, source: SpecSource) -> list[Case]:
    axes = experiment.axes
    parts = axis_parts(axes)
    swept = {axis.partition(".")[0] for axis in axes}
    # Sections without an axis are shared by all cases, the others are filled in anew for each.
    template = {
        name: _plain(value) if name in swept else value
        for name, value in {**dict(experiment), "axes": {}}.items()
    }
    choosing = source.choosing()
    folders = {axis: _folder(source, axis) for axis in axes}
    baselines: dict[str, Case] = {}
    cases = []
    sizes = {axis: len(values) for axis, values in axes.items()}
    of = prod(sizes.values())
    for positions in product(*(range(len(values)) for values in axes.values())):
        chosen = dict(zip(axes, positions, strict=True))
        params = {axis: axes[axis][position] for axis, position in chosen.items()}
        case = Case(
            id=case_id(experiment.name, (parts[axis][at] for axis, at in chosen.items())),
            experiment=experiment,
            params=params,
            dose=None,
            source=choosing(tuple(chosen.items())),
            of=of,
            sizes=sizes,
        )
        try:
            case = replace(case, experiment=validated(_filled(template, params, folders)))
        except FieldError as error:
            raise case.source.locate(error) from None
        if experiment.dose is not None:
            case = replace(case, dose=dose_of(case.experiment, params[experiment.dose]))
        varied = treatment(case.experiment)
        if varied is not None:
            others = {axis: at for axis, at in chosen.items() if not lies_in(axis, varied)}
            labels = (parts[axis][at] for axis, at in others.items())
            name = case_id(experiment.name, ("baseline", *labels))
            if name not in baselines:
                try:
                    untreated = _untreated(case.experiment, axes)
                except FieldError as error:
                    raise case.source.locate(error) from None
                baselines[name] = Case(
                    id=name,
                    experiment=untreated,
                    params={axis: params[axis] for axis in others},
                    dose=None,
                    source=choosing(tuple(others.items())),
                )
            case = replace(case, baseline=baselines[name])
        cases.append(case)
    return cases


def _untreated(experiment: Experiment, axes: Mapping[str, Sequence[JsonValue]]) -> Experiment:
    """The experiment without its intervention, or without the sampling rule of its dose."""
    rule = dosed_rule(experiment)
    if rule is None:
        return experiment.model_copy(update={"intervention": None})
    assert experiment.dose is not None
    if rule.draws:
        values = {**dict(experiment), "sampling": experiment.sampling.model_dump()}
        return validated(put(values, experiment.dose, min(map(_number, axes[experiment.dose]))))
    sampling = experiment.sampling.model_copy(update={rule.name: rule.neutral})
    return experiment.model_copy(update={"sampling": sampling})


def _filled(
    template: Mapping[str, Any], params: Mapping[str, JsonValue], folders: Mapping[str, Path | None]
) -> Mapping[str, Any]:
    """The form's values with every axis fixed, paths among them made absolute."""
    values = template
    for axis, value in params.items():
        values = put(values, axis, value)
        folder = folders[axis]
        if folder is not None:
            values = resolved(values, folder, under=axis)
    return values


def _folder(source: SpecSource, axis: str) -> Path | None:
    """Where relative paths on an axis start."""
    origin = source.origin(f"axes.{axis}")
    return Path(origin.folder) if origin else None


def _check(experiment: Experiment) -> None:
    axes = experiment.axes
    untreated = experiment.intervention is None and "intervention.kind" not in axes
    for axis, values in axes.items():
        name = f"axes.{axis}"
        if axis not in fields():
            flat = axis.replace("sampling.rules.", "sampling.")
            meant = f" did you mean {flat}?" if flat in fields() else suggestion(axis, fields())
            raise FieldError(name, f"no such field;{meant}".rstrip(";"))
        if axis.partition(".")[0] in _ONE_PER_EXPERIMENT | _fixed_sections():
            raise FieldError(name, "cannot be an axis; it is the same for all cases")
        for other in axes:
            if axis.startswith(f"{other}."):
                raise FieldError(name, f"lies inside the axis {other}; keep one of the two")
        if untreated and axis.startswith("intervention."):
            told = "this spec has no intervention that it could be a field of; write one"
            raise FieldError(name, told)
        if not values:
            raise FieldError(name, "[] is not accepted; list at least one value")
        first: dict[str, int] = {}
        for position, value in enumerate(values):
            if first.setdefault(content(value), position) != position:
                raise FieldError(
                    f"{name}[{position}]", f"{displayed(value)} is in the list twice; remove one"
                )
    measure = measure_named(experiment.measure)
    if measure.by_task != (experiment.task.lm_eval is not None):
        raise FieldError(
            "measure",
            f"{experiment.measure} is for a task of lm-eval's alone; write task: {{lm_eval: NAME}}"
            if measure.by_task
            else f"{experiment.measure} is not measured of a task of lm-eval's, which says itself "
            "what it asks; leave it out",
        )
    fixed = measure.fixed
    for axis in axes:
        why = fixed.get(axis, fixed.get(axis.partition(".")[0]))
        if why is not None:
            raise FieldError(f"axes.{axis}", why)
    total = prod(len(values) for values in axes.values())
    if total > MOST_CASES:
        raise FieldError("axes", f"{total} cases; at most {MOST_CASES} are accepted")
    _check_dose(experiment)
    check_gates(experiment)
    curves = {"window": experiment.window is not None}
    if experiment.stop is not None:
        curves["stop.decide"] = any(each.within for each in experiment.stop.decisions)
        if treatment(experiment, axes) is None:
            raise FieldError("stop", "nothing intervenes, so that nothing differs; leave it out")
    for field in (field for field, needed in curves.items() if needed):
        try:
            CaseGrid.of(experiment, axes).check_doses()
        except ValueError as error:
            raise FieldError(field, str(error)) from None


def _fixed_sections() -> set[str]:
    """The sections of measures whose fields are the same for all cases."""
    return {name for name in sections() if not measure_named(name).swept}


def _check_dose(experiment: Experiment) -> None:
    axes = experiment.axes
    if experiment.dose is None:
        return
    if experiment.dose not in axes:
        accepted = f"accepted: {', '.join(axes)}" if axes else "there are none"
        raise FieldError(
            "dose",
            f"{experiment.dose!r} is not an axis;{suggestion(experiment.dose, axes)} {accepted}",
        )
    acting = experiment.intervention
    names = unit_of(None if acting is None else acting.kind, experiment.dose) is not None
    named: dict[float | None, JsonValue] = {}
    for position, value in enumerate(axes[experiment.dose]):
        place = f"axes.{experiment.dose}[{position}]"
        if number_of(value) is None and not (isinstance(value, str) and names):
            raise FieldError(
                place, f"{displayed(value)} is not accepted; the values of the dose are numbers"
            )
        try:
            dose = dose_of(experiment, value)
        except ValueError as error:
            raise FieldError(place, str(error)) from None
        if dose is not None and named.setdefault(dose, value) != value:
            raise FieldError(
                place, f"{value} is at dose {dose:.3g}, as {named[dose]} is; keep one of the two"
            )
    rule = dosed_rule(experiment)
    drawn = [each for each in experiment.sampling.known if each.draws]
    settings = experiment.sampling
    if rule is not None and not (
        any(not each.is_neutral(getattr(settings, each.name)) for each in drawn)
        or any(lies_in(axis, f"sampling.{each.name}") for axis in axes for each in drawn)
    ):
        raise FieldError(
            "dose",
            f"{experiment.dose} changes nothing of greedy decoding; set sampling.temperature above "
            "0, such as 1",
        )


def _number(value: JsonValue) -> float:
    number = number_of(value)
    assert number is not None, "the dose was checked"
    return number


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


def check_gates(experiment: Experiment) -> None:
    """Find the first gate of a spec that no case of its grid can decide.

    Raises:
        FieldError: of `gates[i]`: an axis or a value that the grid does not have, or a monotone
            claim about an experiment without a dose.
    """
    grid = CaseGrid.of(experiment, experiment.axes)
    for position, gate in enumerate(experiment.gates):
        try:
            # A copy with other gates (`model_copy`) has their texts: pydantic reads none of it.
            (gate if isinstance(gate, Gate) else parse_gate(gate)).check(grid)
        except ValueError as error:
            raise FieldError(f"gates[{position}]", str(error)) from None
