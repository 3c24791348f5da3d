"""What is searched: the fields of a spec's space as Optuna's distributions, and back.

A configuration is a mapping of dotted fields to values. `Space.experiment` fills one in; what is
impossible about it is found as it is in any other spec.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import JsonValue

from harness.errors import FieldError, ModelError, TaskError
from harness.resolve.resolver import check_intervention
from harness.runs.checks import check_engine
from harness.search.treatment import dose_field, pair_sections, treatment, with_at_most
from harness.spec import Experiment, SpecSource
from harness.spec.complaints import displayed, validated
from harness.spec.form import fields, members, resolved
from harness.spec.layers import get, put
from harness.spec.search import Dimension
from harness.spec.suggestion import suggestion

_SEARCHED = ("intervention", "prompt", "sampling")
#: What decides a task's prompts, which all trials share.
_SHARED = ("prompt.date", "prompt.template", "prompt.system")


@dataclass(frozen=True)
class Space:
    """The searched fields of an experiment; `base` is the experiment without its search."""

    base: Experiment
    source: SpecSource
    distributions: Mapping[str, BaseDistribution]
    train: int | None = None
    """Pairs that any configuration's vectors are built from at most, and where it says nothing."""

    def asked(self, trial: optuna.Trial) -> dict[str, JsonValue]:
        """A trial's configuration, drawn now where it was not before."""
        return {
            field: _decoded(_suggested(trial, field, distribution))
            for field, distribution in self.distributions.items()
        }

    def told(self, params: Mapping[str, Any]) -> dict[str, JsonValue]:
        """A configuration from the parameters of a trial that is done."""
        return {field: _decoded(params[field]) for field in self.distributions}

    def experiment(self, configuration: Mapping[str, JsonValue]) -> Experiment:
        """The experiment at a configuration; raises `FieldError` where it cannot be."""
        return validated(self.values(configuration))

    def values(self, configuration: Mapping[str, JsonValue]) -> Mapping[str, Any]:
        """The form's values at a configuration, which may be impossible."""
        values = self.base.model_dump()
        for field, value in configuration.items():
            values = put(values, field, self.located(field, value))
        if self.train is not None:
            values["intervention"] = with_at_most(values["intervention"], self.train)
        return values

    def located(self, field: str, value: JsonValue) -> JsonValue:
        """A value of a field with the paths in it made absolute, from where the space is written.

        The study has them as they are written: the same choices on every machine.
        """
        origin = self.source.origin(f"search.space.{field}")
        if origin is None:
            return value
        found: JsonValue = get(resolved(put({}, field, value), Path(origin.folder), field), field)
        return found

    @property
    def dose(self) -> str | None:
        """The field whose value 0 makes the intervention neutral, whether it is searched or not."""
        others = (self.experiment({field: value}) for field, value in self.corners())
        for experiment in (self.base, *others):
            found = dose_field(treatment(experiment))
            if found is not None:
                return found
        return None

    @property
    def shown_first(self) -> list[str]:
        """The fields that a map of the study is over where they are searched: dose, then layers."""
        layers = sorted(treatment(self.base).says_layers)
        dose = self.dose
        return [*([] if dose is None else [dose]), *(f"intervention.{name}" for name in layers)]

    @property
    def has_neutral(self) -> bool:
        """Whether some configuration leaves the model as it is."""
        dose = self.dose
        if dose is None:
            return True
        if dose in self.distributions:
            return _contains(self.distributions[dose], 0)
        return dose_field(treatment(self.base)) is None

    def corners(self) -> Iterator[tuple[str, JsonValue]]:
        """Every choice, and both ends of every range."""
        for field, distribution in self.distributions.items():
            if isinstance(distribution, CategoricalDistribution):
                for choice in distribution.choices:
                    yield field, _decoded(choice)
            elif isinstance(distribution, IntDistribution | FloatDistribution):
                yield field, distribution.low
                yield field, distribution.high

    def check(self) -> None:
        """Find what is impossible at the ends of the space, before weights are loaded.

        Raises:
            FieldError: naming the place in the space.
        """
        check_engine(self.base)
        check_intervention(self.base)
        pair_sections(self.base)  # refuses an ordering measured on the test samples
        for field, value in self.corners():
            place = f"search.space.{field}"
            try:
                corner = self.experiment({field: value})
                check_engine(corner)
                check_intervention(corner)
                pair_sections(corner)
            except FieldError as error:
                problem = error.problem if error.field == field else str(error)
                raise FieldError(place, f"at {displayed(value)}: {problem}") from error
            except (ModelError, TaskError) as error:
                raise FieldError(place, f"at {displayed(value)}: {error}") from error


def space_of(experiment: Experiment, source: SpecSource) -> Space:
    """The space of an experiment's search; raises `FieldError` for a field that cannot be in it."""
    assert experiment.search is not None
    distributions = {}
    for field, dimension in experiment.search.space.items():
        _check_field(field)
        distributions[field] = _distribution(field, dimension)
    base = experiment.model_copy(update={"search": None})
    return Space(base, source, distributions, experiment.search.splits.train)


def _check_field(field: str) -> None:
    place = f"search.space.{field}"
    names = [
        name for name in fields() if name.partition(".")[0] in _SEARCHED and name not in _SHARED
    ]
    if field not in fields():
        raise FieldError(place, f"no such field;{suggestion(field, names)}".rstrip(";"))
    if field not in names:
        raise FieldError(
            place, f"cannot be searched; fields of {', '.join(_SEARCHED)} can, all others are fixed"
        )


def _distribution(field: str, dimension: Dimension) -> BaseDistribution:
    place = f"search.space.{field}"
    if dimension.choices is not None:
        choices = tuple(map(_encoded, dimension.choices))
        if len(set(map(repr, choices))) < len(choices):
            raise FieldError(place, "a choice is in the list twice; remove one")
        return CategoricalDistribution(choices)
    assert dimension.low is not None
    assert dimension.high is not None
    kinds = {kind for kind in members(fields()[field].annotation) if isinstance(kind, type)}
    if float in kinds:
        return FloatDistribution(
            dimension.low, dimension.high, log=dimension.log, step=dimension.step
        )
    if int not in kinds:
        raise FieldError(place, "takes no numbers; give a list of choices instead of a range")
    step = 1 if dimension.step is None else dimension.step
    for value in (dimension.low, dimension.high, step):
        if value != int(value):
            raise FieldError(place, f"{value:g} is not accepted; the field takes whole numbers")
    return IntDistribution(int(dimension.low), int(dimension.high), dimension.log, int(step))


def _suggested(trial: optuna.Trial, field: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(field, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(field, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(field, choices)
    raise AssertionError(distribution)


def _contains(distribution: BaseDistribution, value: float) -> bool:
    match distribution:
        case FloatDistribution(low=low, high=high, step=step):
            steps = 0.0 if step is None else (value - low) / step
            return low <= value <= high and abs(steps - round(steps)) < 1e-9
        case IntDistribution(low=low, high=high, step=step):
            return low <= value <= high and (value - low) % step == 0
        case CategoricalDistribution(choices=choices):
            return any(not isinstance(each, bool) and each == value for each in choices)
    raise AssertionError(distribution)


# Optuna keeps plain values only; a list or a mapping is its JSON text behind this mark.
_MARK = "json:"


def _encoded(value: JsonValue) -> Any:
    if isinstance(value, list | dict):
        return _MARK + json.dumps(value, sort_keys=True)
    return value


def _decoded(value: Any) -> JsonValue:
    if isinstance(value, str) and value.startswith(_MARK):
        decoded: JsonValue = json.loads(value.removeprefix(_MARK))
        return decoded
    plain: JsonValue = value
    return plain
