"""Where every value of an experiment came from, so that an error can name file and line."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import FieldError, SpecError, one_line
from harness.options import stands_for
from harness.spec.experiment import Experiment

_ON_AXIS = re.compile(r"axes\.(?P<axis>[^\[]+)\[(?P<position>\d+)\]")
_LAST_PART = re.compile(r"(?:^|\.)[^.\[\]]*$|\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Origin:
    """`text` is `file:line` or `--titrate-set key=value`; paths there are relative to `folder`."""

    text: str
    folder: str


@dataclass(frozen=True, slots=True)
class SpecSource:
    """Places by dotted field, `axes.intervention.count[2]` being the third value of an axis.

    A tuple rather than a mapping: it is hashed, pickled to workers and shared by all cases, and
    read only to word an error. The origin of the whole document has the empty name.
    """

    file: str = ""
    origins: tuple[tuple[str, Origin], ...] = ()
    choices: tuple[tuple[str, int], ...] = ()
    """Axes that a case has fixed, with the position of the chosen value."""

    @classmethod
    def of(cls, experiment: Experiment) -> SpecSource:
        """The source of an experiment that was written in Python: its name stands for a file."""
        return cls("", (("", Origin(f"experiment {experiment.name}", str(Path.cwd()))),))

    def choosing(self) -> Callable[[tuple[tuple[str, int], ...]], SpecSource]:
        """What gives the source of the case in which axes have their values at some positions.

        The origins of all other values of axes are left out of it: every case is recorded with its
        source, and the records of a long axis would grow with its square (measured: 16 ms and
        0.6 MB for each of 10 000 cases).
        """
        everywhere: list[tuple[str, Origin]] = []
        chosen: defaultdict[tuple[str, int], list[tuple[str, Origin]]] = defaultdict(list)
        for name, origin in self.origins:
            value = _ON_AXIS.match(name)
            if value is None:
                everywhere.append((name, origin))
            else:
                chosen[value["axis"], int(value["position"])].append((name, origin))

        def source(choices: tuple[tuple[str, int], ...]) -> SpecSource:
            own = (each for choice in choices for each in chosen.get(choice, ()))
            return replace(self, origins=(*everywhere, *own), choices=choices)

        return source

    def origin(self, field: str) -> Origin | None:
        """The field's origin; for a default, that of the nearest section around it."""
        for axis, position in self.choices:
            if field == axis or field.startswith((f"{axis}.", f"{axis}[")):
                field = f"axes.{axis}[{position}]{field[len(axis) :]}"
                break
        origins = dict(self.origins)
        while field and field not in origins:
            shorter = _LAST_PART.sub("", field)
            field = shorter if shorter != field else ""
        return origins.get(field)

    def locate(self, error: FieldError) -> SpecError:
        """The same error with its origin in front: `specs/x.yaml:14 intervention.count: 70 ...`.

        Of several, each has its own line, in the order of the file.
        """
        found = [(self.origin(each.field), each) for each in (error, *error.others)]
        found.sort(key=lambda pair: _line(pair[0]))
        # An override of a field that is swept is wrong in the field and on the axis.
        return SpecError("\n".join(dict.fromkeys(one_line(_said(*each)) for each in found)))


def _said(origin: Origin | None, error: FieldError) -> str:
    if origin is None:
        return str(error)
    # An override names its field itself, and so does an option that stands for one.
    field = _ON_AXIS.sub(r"\g<axis>", error.field)
    names_it = stands_for(origin.text) == field or any(
        f"{mark}{field}=" in origin.text for mark in " ="
    )
    # `model: model folder x does not exist` says one word twice.
    problem = error.problem.removeprefix(f"{field.rpartition('.')[2]} ")
    return f"{origin.text}: {problem}" if names_it else f"{origin.text} {error.field}: {problem}"


def _line(origin: Origin | None) -> int:
    """The line of an origin in a file; 0 for one that has none."""
    number = origin.text.rpartition(":")[2] if origin else ""
    return int(number) if number.isdigit() else 0
