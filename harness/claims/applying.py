"""Which gates the selected cases of a run decide: asked before it runs, and when it is judged.

- A spec's gates speak of its grid. Of a part that `-k` or a shard selected those are judged whose
  cases are all in it, and `neutral_equals_baseline` of each neutral case that is; of the others it
  is said which cases they need.
- A gate of the command line speaks of what was selected, in every experiment that has the axes and
  the metric that it names. One that fits no experiment is refused before the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from pydantic import JsonValue

from harness.claims.evidence import Measured
from harness.claims.gates import impossible
from harness.errors import FieldError, OptionError
from harness.metrics.entry import MetricEntry
from harness.spec import Case
from harness.spec.gates import CaseGrid, Gate, NoChange, Selection
from harness.spec.gates.where import axis_named
from harness.spec.treatment import lies_in, treatment


@dataclass(frozen=True)
class ExperimentGates:
    """What one experiment is asked of its selected cases."""

    experiment: str
    gates: tuple[Gate, ...]
    """To be judged: its spec's, then those of the command line."""
    waiting: Mapping[Gate, str]
    """Gates of its spec that nothing judges, and which cases each needs."""


@dataclass(frozen=True)
class Selected:
    """The selected cases of one experiment, without its baselines."""

    members: Sequence[Measured]

    @property
    def case(self) -> Case:
        """The first of them, which stands for what all have in common."""
        return self.members[0].case

    @cached_property
    def cases(self) -> Sequence[Case]:
        """Each case once: two benches may ask for the same."""
        return list({each.case.id: each.case for each in self.members}.values())

    @cached_property
    def metrics(self) -> Sequence[str]:
        """What they measure; none where it is not known, because none of them has a result."""
        return next((names for each in self.members if (names := each.metrics)), ())

    def kind(self, metric: str) -> MetricEntry:
        """What a metric of theirs is."""
        return self.members[0].kind(metric)

    def asked(self, extra: Iterable[Gate]) -> ExperimentGates:
        """What this experiment is asked, with these gates of the command line."""
        needs = {gate: lacking(gate, self.cases) for gate in self.case.experiment.gates}
        gates = dict.fromkeys([*(gate for gate, cases in needs.items() if not cases), *extra])
        waiting = {gate: cases for gate, cases in needs.items() if gate not in gates}
        return ExperimentGates(self.case.experiment.name, tuple(gates), waiting)

    def outside(self, gate: Gate) -> str:
        """Which axis or value that a gate names is not among these cases, or nothing."""
        axes: dict[str, list[JsonValue]] = {}
        for case in self.cases:
            for axis, value in case.params.items():
                values = axes.setdefault(axis, [])
                if value not in values:
                    values.append(value)
        try:
            gate.check(CaseGrid.of(self.case.experiment, axes))
        except ValueError as error:
            parts = _by_file(self.cases)
            return f"{error}" if _whole(parts) else f"{error} ({_counted(parts)})"
        return ""

    def problem(self, gate: Gate) -> str:
        """Why these cases cannot decide a gate of the command line, or nothing."""
        return self.outside(gate) or impossible(gate, self)


def by_experiment(cases: Iterable[Measured]) -> list[Selected]:
    """Selected cases by their experiment, in order of its first."""
    found: dict[str, list[Measured]] = {}
    for each in cases:
        found.setdefault(each.case.experiment.name, []).append(each)
    return [Selected(members) for members in found.values()]


def asked(selected: Sequence[Selected], extra: Sequence[Gate] = ()) -> list[ExperimentGates]:
    """What every experiment is asked, with these gates of the command line.

    A gate whose metric no experiment measures is asked of all that have its axes: it has failed.
    """
    of: dict[str, list[Gate]] = {}
    for gate in extra:
        there = [each for each in selected if not each.outside(gate)]
        for each in [one for one in there if not one.problem(gate)] or there:
            of.setdefault(each.case.experiment.name, []).append(gate)
    return [each.asked(of.get(each.case.experiment.name, ())) for each in selected]


def check_gates_asked(selected: Sequence[Selected], extra: Sequence[Gate] = ()) -> None:
    """Find the first gate that no selected case can decide, whatever comes of it.

    Raises:
        SpecError: a gate of a spec, of a metric that its cases do not measure; with its place.
        OptionError: a gate of the command line.
    """
    for each in selected:
        for position, gate in enumerate(each.case.experiment.gates):
            if problem := impossible(gate, each):
                raise each.case.source.locate(FieldError(f"gates[{position}]", problem))
    for gate in extra:
        problems = [each.problem(gate) for each in selected]
        if all(problems):
            nothing = f"{gate.text!r}: nothing was selected"
            raise OptionError("gate", next(iter(problems), nothing))


def lacking(gate: Gate, selected: Sequence[Case]) -> str:
    """What a gate of their spec needs beyond the selected cases of an experiment, or nothing.

    Two spec files may share a name: then it needs the cases of both.
    """
    claim = gate.claim
    assert not isinstance(claim, NoChange), "a rule speaks of two runs"
    where = claim.where
    if where is None and any(case.is_neutral for case in selected):
        return ""
    parts = _by_file(selected)
    if _whole(parts):
        return ""
    counted = _counted(parts)
    if where is None:
        return f"a neutral case ({counted})"
    spoken_of = [_spoken_of(where, part) for part in parts]
    found, needed = (sum(numbers) for numbers in zip(*spoken_of, strict=True))
    if needed and found >= needed:
        return ""
    if not needed or needed == sum(part[0].of for part in parts):
        return f"the whole grid ({counted})"
    kind = "baselines" if where.baseline else "cases"
    return f"{needed} {kind}, of which {found} are here ({counted})"


def _by_file(selected: Sequence[Case]) -> list[list[Case]]:
    files = dict.fromkeys(case.source.file for case in selected)
    return [[case for case in selected if case.source.file == file] for file in files]


def _whole(parts: Sequence[Sequence[Case]]) -> bool:
    return all(len(part) == part[0].of for part in parts)


def _counted(parts: Sequence[Sequence[Case]]) -> str:
    return f"{sum(map(len, parts))} of {sum(part[0].of for part in parts)} cases selected"


def _spoken_of(where: Selection, part: Sequence[Case]) -> tuple[int, int]:
    """How many cases a gate speaks of, among those of one file and in its grid; 0 if not known."""
    sizes = part[0].sizes
    varied = treatment(part[0].experiment, sizes)
    found = {
        id_
        for case in part
        for id_, params in _sides(case, baseline=where.baseline)
        if where.selects(params, baseline=where.baseline)
    }
    fixed = {axis_named(name, sizes) for name, _ in where.conditions}
    needed = prod(
        size
        for axis, size in sizes.items()
        if axis not in fixed and not (where.baseline and lies_in(axis, varied))
    )
    return len(found), needed if sizes else 0


def _sides(case: Case, *, baseline: bool) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    if not baseline:
        yield case.id, case.params
    elif case.baseline is not None:
        yield case.baseline.id, case.baseline.params
