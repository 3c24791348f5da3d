"""What an experiment does to the model, seen from outside of its kind: its dose, control, pairs.

Every kind of intervention says what its neutral dose is; the field in which the two differ is the
dose. What a vector is built from is found wherever it stands in the section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel, JsonValue

from harness.errors import FieldError
from harness.spec import (
    Experiment,
    InterventionSettings,
    RandomPoints,
    RouterMaskSettings,
    UsagePoints,
)
from harness.spec.dac import PairProperty
from harness.spec.steering import PairVector

#: What is built from contrastive pairs, wherever it stands in an intervention.
PairSection: TypeAlias = PairVector | PairProperty
_PLACES: Mapping[str, type[PairSection]] = {"vector": PairVector, "properties": PairProperty}
_CONTROL = "control"


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
    """The experiment as one case: its own vector, and no control beside it."""
    settings = treatment(experiment)
    if getattr(settings, _CONTROL, "none") is not None:
        return experiment
    return _with(experiment, settings.model_copy(update={_CONTROL: "none"}))


def control_axis(experiment: Experiment) -> dict[str, list[JsonValue]]:
    """The axis on which an intervention stands beside its control; empty where it has none."""
    settings = treatment(experiment)
    if _CONTROL in type(settings).model_fields:
        return {f"intervention.{_CONTROL}": ["none", "random"]}
    if isinstance(settings, RouterMaskSettings) and not isinstance(settings.points, RandomPoints):
        own: JsonValue = settings.points.model_dump(mode="json")
        return {"intervention.points": [own, {"random": 0}]}
    return {}


def pair_sections(experiment: Experiment) -> list[PairSection]:
    """The sections whose vectors are built from pairs, wherever they stand in the intervention.

    Raises:
        FieldError: the intervention is measured on the samples that are to be evaluated.
    """
    found = list(_sections(treatment(experiment)))
    if any(isinstance(section, UsagePoints) for section in found):
        raise FieldError(
            "intervention.points",
            "usage is measured on the task's own samples, those of the test split among them; "
            "write an ordering from other samples to a file and give points: {file: ...}",
        )
    return [section for section in found if isinstance(section, PairSection)]


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
    if not isinstance(intervention, Mapping):
        return
    for place, kind in _PLACES.items():
        inside = intervention.get(place)
        for section in inside if isinstance(inside, list) else [inside]:
            if isinstance(section, Mapping) and "pairs" in section:
                yield kind, section


def with_at_most(intervention: Any, count: int) -> Any:
    """An intervention's values with `count` pairs in each such section that asks for no fewer."""
    if not isinstance(intervention, Mapping):
        return intervention
    capped = dict(intervention)
    for place in _PLACES:
        inside = capped.get(place)
        if isinstance(inside, list):
            capped[place] = [_capped(section, count) for section in inside]
        elif inside is not None:
            capped[place] = _capped(inside, count)
    return capped


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
