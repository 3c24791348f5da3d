"""`where count=4 and style=agentic`, `where baseline`: the cases that a claim speaks of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from pydantic import JsonValue

from harness.spec.doses import check_doses
from harness.spec.ids import called, content
from harness.spec.named_doses import dose_of
from harness.spec.suggestion import suggestion
from harness.spec.treatment import Treated, lies_in, treatment

_CONDITION = r"(?:baseline|[A-Za-z_][A-Za-z0-9_.]*\s*=\s*[^\s=]+)"
WHERE = rf"(?:\s+where\s+({_CONDITION}(?:\s+and\s+{_CONDITION})*))?"
FORM = "where AXIS=VALUE [and ...], or where baseline"


class Swept(Treated, Protocol):
    """What a grid is taken from: an `Experiment`, whose gates this module is a part of."""

    @property
    def name(self) -> str:
        """Its name."""


@dataclass(frozen=True)
class CaseGrid:
    """The cases that a claim can speak of: all of an experiment, or those that were selected."""

    experiment: str
    """Its name."""
    axes: Mapping[str, Sequence[JsonValue]]
    dose: str | None
    treatment: str | None
    """The section that baselines are without; None where there are none."""
    doses: tuple[float, ...] = ()
    """The numbers on its dose axis."""

    @classmethod
    def of(cls, experiment: Swept, axes: Mapping[str, Sequence[JsonValue]]) -> Self:
        """The grid of these axes of an experiment."""
        values = axes.get(experiment.dose or "", ())
        doses = [dose for value in values if (dose := dose_of(experiment, value)) is not None]
        return cls(
            experiment.name, axes, experiment.dose, treatment(experiment, axes), tuple(doses)
        )

    def check_doses(self) -> None:
        """Raise ValueError unless it has a dose, and enough of them for a curve."""
        check_doses(self.experiment, self.dose, self.doses)

    @property
    def has_baselines(self) -> bool:
        """Whether its cases are compared with others."""
        return self.treatment is not None

    def axis(self, name: str) -> str:
        """The dotted field of an axis that a claim names; raises ValueError where there is none."""
        axis = axis_named(name, self.axes)
        if axis is None:
            has = f"its axes are {', '.join(self.axes)}" if self.axes else "it has none"
            close = suggestion(name, self.axes)
            raise ValueError(f"{name!r} is not an axis of {self.experiment};{close} {has}")
        return axis


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases a claim speaks of: those with every one of these values; baselines, or not."""

    conditions: tuple[tuple[str, str], ...] = ()
    """Axis, by its last part or its whole dotted field, and value."""
    baseline: bool = False

    @classmethod
    def read(cls, text: str | None) -> Self:
        """What stands behind `where`; all cases but the baselines where nothing does."""
        if text is None:
            return cls()
        conditions = [part.strip() for part in re.split(r"\s+and\s+", text)]
        pairs = [part.partition("=") for part in conditions if part != "baseline"]
        return cls(
            tuple((axis.strip(), value.strip()) for axis, _, value in pairs),
            "baseline" in conditions,
        )

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError for an axis or a value that the grid does not have."""
        if self.baseline:
            if not grid.has_baselines:
                raise ValueError(
                    f"{grid.experiment} intervenes in nothing and has no baselines; leave out "
                    "'where baseline'"
                )
            fixed = {
                axis: each for axis, each in grid.axes.items() if not lies_in(axis, grid.treatment)
            }
            grid = CaseGrid(grid.experiment, fixed, grid.dose, grid.treatment)
        for name, value in self.conditions:
            axis = grid.axis(name)
            if not any(same_value(value, each) for each in grid.axes[axis]):
                values = ", ".join(_written(each) for each in grid.axes[axis])
                raise ValueError(
                    f"{axis} is never {value!r} in {grid.experiment}; its values are {values}"
                )

    def selects(self, params: Mapping[str, JsonValue], *, baseline: bool) -> bool:
        """Whether a case with these parameters is one that the claim speaks of."""
        if self.baseline != baseline:
            return False
        for name, value in self.conditions:
            axis = axis_named(name, params)
            if axis is None or not same_value(value, params[axis]):
                return False
        return True


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
    return text == _written(value)


def _written(value: JsonValue) -> str:
    """A value as a gate writes it: words bare, the rest as JSON without spaces."""
    return value if isinstance(value, str) else content(value)
