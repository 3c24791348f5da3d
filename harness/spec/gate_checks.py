"""Whether the cases that a gate speaks of are in the grid: found before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from harness.errors import FieldError
from harness.spec.experiment import Experiment
from harness.spec.form import suggestion
from harness.spec.gate_expression import (
    Monotone,
    NeutralEqualsBaseline,
    SameAcross,
    Selection,
    parse_gate,
)
from harness.spec.ids import called, content


def check_gates(experiment: Experiment) -> None:
    """Find the first gate that no case of the experiment can decide.

    Raises:
        FieldError: of `gates[i]`: an axis or a value that the grid does not have, or a monotone
            claim about an experiment without a dose.
    """
    for position, text in enumerate(experiment.gates):
        try:
            check_gate(text, experiment)
        except ValueError as error:
            raise FieldError(f"gates[{position}]", str(error)) from None


def check_gate(text: str, experiment: Experiment) -> None:
    """The same of one gate, wherever it was written; raises ValueError."""
    gate = parse_gate(text)
    if isinstance(gate, NeutralEqualsBaseline):
        if not _has_baselines(experiment):
            raise ValueError(
                f"{text}: {experiment.name} intervenes in nothing, so that it has neither neutral "
                "cases nor baselines; leave this gate out"
            )
        return
    if isinstance(gate, Monotone) and experiment.dose is None:
        raise ValueError(
            f"{text!r}: {experiment.name} has no dose; name the axis along which the intervention "
            "grows stronger (dose: AXIS)"
        )
    axes: Mapping[str, Sequence[JsonValue]] = experiment.axes
    if isinstance(gate, SameAcross):
        axis = _axis(text, gate.axis, experiment, axes)
        if len(axes[axis]) < 2:
            raise ValueError(
                f"{text!r}: {axis} has one value in {experiment.name}; add those to compare"
            )
    if gate.where.baseline:
        if not _has_baselines(experiment):
            raise ValueError(
                f"{text!r}: {experiment.name} intervenes in nothing and has no baselines; leave "
                "out 'where baseline'"
            )
        axes = {axis: values for axis, values in axes.items() if not intervenes(axis)}
    for name, value in gate.where.conditions:
        axis = _axis(text, name, experiment, axes)
        if not any(same_value(value, each) for each in axes[axis]):
            values = ", ".join(written(each) for each in axes[axis])
            raise ValueError(
                f"{text!r}: {axis} is never {value!r} in {experiment.name}; its values are {values}"
            )


def _axis(text: str, name: str, experiment: Experiment, axes: Mapping[str, object]) -> str:
    axis = axis_named(name, axes)
    if axis is None:
        has = f"its axes are {', '.join(axes)}" if axes else "it has none"
        raise ValueError(
            f"{text!r}: {name!r} is not an axis of {experiment.name};{suggestion(name, axes)} {has}"
        )
    return axis


def _has_baselines(experiment: Experiment) -> bool:
    return experiment.intervention is not None or any(map(intervenes, experiment.axes))


def intervenes(axis: str) -> bool:
    """Whether an axis varies the intervention: baselines have no value of it."""
    return axis.partition(".")[0] == "intervention"


def axis_named(name: str, axes: Mapping[str, object]) -> str | None:
    """The one axis of this dotted field, or with this last part, or called so."""
    found = [axis for axis in axes if axis == name or f".{called(axis)}".endswith(f".{name}")]
    return found[0] if len(found) == 1 else None


def same_value(text: str, value: JsonValue) -> bool:
    """Whether `text` writes this value: numbers by their size, the rest as the spec has it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    return text == written(value)


def written(value: JsonValue) -> str:
    """A value as a gate writes it: words bare, the rest as JSON without spaces."""
    return value if isinstance(value, str) else content(value)


def selects(where: Selection, params: Mapping[str, JsonValue], *, baseline: bool) -> bool:
    """Whether a case with these parameters is one that a gate speaks of."""
    if where.baseline != baseline:
        return False
    for name, value in where.conditions:
        axis = axis_named(name, params)
        if axis is None or not same_value(value, params[axis]):
            return False
    return True
