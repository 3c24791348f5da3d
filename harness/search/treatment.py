"""What an experiment does to the model, seen from outside of its kind: its dose, control, pairs.

Every kind of intervention says what its neutral dose is; the field in which the two differ is the
dose. What a vector is built from is found wherever it stands in the section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, JsonValue

from harness.errors import FieldError
from harness.spec import Experiment, InterventionSettings
from harness.spec.form import sections
from harness.spec.intervention import PairSection
from harness.spec.intervention import sections as registered


def treatment(experiment: Experiment) -> InterventionSettings:
    """The intervention; raises `FieldError` where there is none to search for."""
    if experiment.intervention is None:
        raise FieldError("intervention", "missing; a search compares doses of one")
    return experiment.intervention


def dose_field(settings: InterventionSettings) -> str | None:
    """The dotted field that its neutral dose changes; None where it is neutral already."""
    neutral = settings.neutral()
    for name in type(settings).model_fields:
        if getattr(settings, name) != getattr(neutral, name):
            return f"intervention.{name}"
    return None


def without_control(experiment: Experiment) -> Experiment:
    """The experiment as one case: its own effect, and no control beside it."""
    settings = treatment(experiment)
    return _with(experiment, settings.without_control())


def control_axis(experiment: Experiment) -> dict[str, list[JsonValue]]:
    """The axis on which an intervention stands beside its control; empty where it has none."""
    axes = treatment(experiment).control_axis()
    return {f"intervention.{name}": values for name, values in axes.items()}


def pair_places(section: type[InterventionSettings]) -> Mapping[str, type[PairSection]]:
    """The fields of a section that are built from pairs, with what fills them in."""
    return {
        name: part
        for name, info in section.model_fields.items()
        for part in sections(info)
        if issubclass(part, PairSection)
    }


def pair_sections(experiment: Experiment) -> list[PairSection]:
    """The sections whose vectors are built from pairs, wherever they stand in the intervention.

    Raises:
        FieldError: the intervention is measured on the samples that are to be evaluated.
    """
    settings = treatment(experiment)
    settings.check_held_out()
    return [section for section in _sections(settings) if isinstance(section, PairSection)]


def with_pairs(experiment: Experiment, count: int) -> Experiment:
    """The experiment with so many pairs behind each of its vectors."""
    built: Any = _replaced(
        treatment(experiment),
        lambda section: (
            section.model_copy(update={"samples": count})
            if isinstance(section, PairSection)
            else section
        ),
    )
    return _with(experiment, built)


def raw_pair_sections(intervention: Any) -> Iterator[tuple[type[PairSection], Mapping[str, Any]]]:
    """The same sections of an intervention's values, before the form is filled in."""
    for place, kind in _places(intervention).items():
        inside = intervention.get(place)
        for section in inside if isinstance(inside, list) else [inside]:
            if isinstance(section, Mapping) and "pairs" in section:
                yield kind, section


def with_at_most(intervention: Any, count: int) -> Any:
    """An intervention's values with `count` pairs in each such section that asks for no fewer."""
    if not isinstance(intervention, Mapping):
        return intervention
    capped = dict(intervention)
    for place in _places(intervention):
        inside = capped.get(place)
        if isinstance(inside, list):
            capped[place] = [_capped(section, count) for section in inside]
        elif inside is not None:
            capped[place] = _capped(inside, count)
    return capped


def _places(intervention: Any) -> Mapping[str, type[PairSection]]:
    """The places of pairs in an intervention's values; none in what is of no kind."""
    if not isinstance(intervention, Mapping):
        return {}
    for section in registered():
        if intervention.get("kind") in get_args(section.model_fields["kind"].annotation):
            return pair_places(section)
    return {}


def _capped(section: Any, count: int) -> Any:
    if not isinstance(section, Mapping) or "pairs" not in section:
        return section
    asked = section.get("samples", count)
    return {**section, "samples": min(asked, count) if isinstance(asked, int) else asked}


def _with(experiment: Experiment, settings: InterventionSettings) -> Experiment:
    return experiment.model_copy(update={"intervention": settings})


def _sections(value: Any) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from _sections(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _sections(item)


def _replaced(value: Any, change: Callable[[BaseModel], BaseModel]) -> Any:
    if isinstance(value, BaseModel):
        inner = {name: _replaced(getattr(value, name), change) for name in type(value).model_fields}
        return change(value.model_copy(update=inner))
    if isinstance(value, list | tuple):
        return type(value)(_replaced(item, change) for item in value)
    return value
