"""Where every value of an experiment came from, so that an error can name file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import FieldError, SpecError
from harness.spec.experiment import Experiment

_LAST_PART = re.compile(r"(?:^|\.)[^.\[\]]*$|\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Place:
    """`text` is `file:line` or `--titrate-set key=value`; paths there are relative to `folder`."""

    text: str
    folder: str


@dataclass(frozen=True, slots=True)
class Source:
    """Places by dotted field, `axes.intervention.count[2]` being the third value of an axis.

    A tuple rather than a mapping: it is hashed, pickled to workers and shared by all cases, and
    read only to word an error. The place of the whole document has the empty name.
    """

    file: str = ""
    places: tuple[tuple[str, Place], ...] = ()
    choices: tuple[tuple[str, int], ...] = ()
    """Axes that a case has fixed, with the position of the chosen value."""

    @classmethod
    def of(cls, experiment: Experiment) -> Source:
        """The source of an experiment that was written in Python: its name stands for a file."""
        return cls("", (("", Place(f"experiment {experiment.name}", str(Path.cwd()))),))

    def choosing(self, choices: tuple[tuple[str, int], ...]) -> Source:
        """The source of the case in which each axis has its value at that position."""
        return replace(self, choices=choices)

    def place(self, field: str) -> Place | None:
        """The field's place; for a default, that of the nearest section around it."""
        for axis, position in self.choices:
            if field == axis or field.startswith((f"{axis}.", f"{axis}[")):
                field = f"axes.{axis}[{position}]{field[len(axis) :]}"
                break
        places = dict(self.places)
        while field and field not in places:
            shorter = _LAST_PART.sub("", field)
            field = shorter if shorter != field else ""
        return places.get(field)

    def locate(self, error: FieldError) -> SpecError:
        """The same error with its place in front: `specs/x.yaml:14 intervention.count: 70 ...`."""
        place = self.place(error.field)
        return SpecError(f"{place.text} {error}" if place else str(error))
