"""Which gates a run must judge: those of its specs, those of the command line, each found sound.

- A spec's gates speak of its grid. Of a part that `-k` or a shard selected those are judged whose
  cases are all in it, and `neutral_equals_baseline` of each neutral case that is; of the others it
  is said which cases they need.
- A gate of the command line speaks of what was selected, in every experiment that has the axes it
  names. One that fits no experiment is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from pydantic import JsonValue

from harness.errors import FieldError, SpecError
from harness.metrics.lookup import directionless, metric_of
from harness.spec import Case, Experiment
from harness.spec.form import suggestion
from harness.spec.gate_checks import axis_named, check_gate, intervenes, selects
from harness.spec.gate_expression import (
    Gate,
    NeutralEqualsBaseline,
    NoWorse,
    SameAcross,
    Selection,
    Threshold,
    parse_gate,
    parse_rule,
)

if TYPE_CHECKING:
    # Not at run time: it imports torch, and who starts workers does without.
    from harness.runs.plan import PlannedCase


def requested_gates(
    cases: Sequence[PlannedCase], extra: Sequence[str] = ()
) -> list[tuple[str, list[str]]]:
    """Experiments of the selected cases with their gates, spec's first.

    Args:
        cases: What was selected, without baselines.
        extra: Gates of the command line.

    Raises:
        SpecError: a gate that no case can decide: malformed, of an axis, value or metric that does
            not exist; with its place.
    """
    gates: dict[str, list[str]] = {case.experiment.name: [] for case in cases}
    for case in _firsts(cases):
        name = case.experiment.name
        for position, text in enumerate(case.experiment.gates):
            problem = _metric_problem(text, case)
            if problem:
                raise case.case.source.locate(FieldError(f"gates[{position}]", problem))
            if not lacking(text, _own(name, cases)):
                gates[name].append(text)
    for text in extra:
        for name in _fitting(text, cases):
            gates[name].append(text)
    return [(name, texts) for name, texts in gates.items() if texts]


def check_rule_metrics(cases: Sequence[PlannedCase], rules: Iterable[str]) -> None:
    """Find the first rule of a comparison whose metric no selected case measures, or has no worse.

    Raises:
        SpecError: there is one.
    """
    kinds = [
        (name, metric_of(case.experiment.measure, name))
        for case in _firsts(cases)
        for name in case.metrics
    ]
    names = [name for name, _ in kinds]
    for text in rules:
        rule = parse_rule(text)
        metric = rule.metric
        if rule.change != "different" and any(
            name == metric and kind.good == "neither" for name, kind in kinds
        ):
            raise SpecError(
                f"--titrate-compare-fail {text!r}: {directionless(metric)}; write "
                f"{metric}: different"
            )
        if metric not in names:
            raise SpecError(
                f"--titrate-compare-fail {text!r}: no metric {metric!r};"
                f"{suggestion(metric, names)} the selected cases measure "
                f"{', '.join(dict.fromkeys(names))}"
            )


def saved_runs_of(
    requested: Iterable[tuple[str, Sequence[str]]],
) -> Iterator[tuple[str, str]]:
    """The names of saved runs that gates compare with, each with a gate that names it."""
    names: dict[str, str] = {}
    for experiment, texts in requested:
        for text in texts:
            gate = parse_gate(text)
            if isinstance(gate, NoWorse):
                names.setdefault(gate.saved, f"gate {text!r} of {experiment}")
    yield from names.items()


def _fitting(text: str, cases: Sequence[PlannedCase]) -> Iterator[str]:
    """The experiments that a gate of the command line can be asked of."""
    fits, problem = [], ""
    for first in _firsts(cases):
        name = first.experiment.name
        try:
            check_gate(text, _selected_grid(_own(name, cases)))
            wrong = _metric_problem(text, first)
        except ValueError as error:
            wrong = f"{error}{_of_a_part(_own(name, cases))}"
        if wrong:
            problem = problem or wrong
        else:
            fits.append(name)
    if not fits:
        raise SpecError(f"--titrate-gate {problem or f'{text!r}: nothing was selected'}")
    yield from fits


def fits(text: str, cases: Sequence[Case]) -> bool:
    """Whether the cases of one experiment have what a gate names."""
    try:
        check_gate(text, _selected_grid(cases))
    except ValueError:
        return False
    return True


def lacking(text: str, selected: Sequence[Case]) -> str:
    """What a gate of their spec needs beyond the selected cases of an experiment, or nothing.

    Two spec files may share a name: then it needs the cases of both.
    """
    gate = parse_gate(text)
    if isinstance(gate, NeutralEqualsBaseline) and any(case.is_neutral for case in selected):
        return ""
    parts = _by_file(selected)
    if _whole(parts):
        return ""
    counted = _counted(parts)
    if isinstance(gate, NeutralEqualsBaseline):
        return f"a neutral case ({counted})"
    asked = [_asked(gate.where, part) for part in parts]
    found, needed = (sum(numbers) for numbers in zip(*asked, strict=True))
    if needed and found >= needed:
        return ""
    if not needed or needed == sum(part[0].of for part in parts):
        return f"the whole grid ({counted})"
    kind = "baselines" if gate.where.baseline else "cases"
    return f"{needed} {kind}, of which {found} are here ({counted})"


def _of_a_part(selected: Sequence[Case]) -> str:
    """Behind what a selection lacks: that it is one, or nothing where it is the whole grid."""
    parts = _by_file(selected)
    return "" if _whole(parts) else f" ({_counted(parts)})"


def _by_file(selected: Sequence[Case]) -> list[list[Case]]:
    files = dict.fromkeys(case.source.file for case in selected)
    return [[case for case in selected if case.source.file == file] for file in files]


def _whole(parts: Sequence[Sequence[Case]]) -> bool:
    return all(len(part) == part[0].of for part in parts)


def _counted(parts: Sequence[Sequence[Case]]) -> str:
    return f"{sum(map(len, parts))} of {sum(part[0].of for part in parts)} cases selected"


def _asked(where: Selection, part: Sequence[Case]) -> tuple[int, int]:
    """How many cases a gate speaks of, among those of one file and in its grid; 0 if not known."""
    sizes = part[0].sizes
    found = {
        id_
        for case in part
        for id_, params in _spoken_of(case, baseline=where.baseline)
        if selects(where, params, baseline=where.baseline)
    }
    fixed = {axis_named(name, sizes) for name, _ in where.conditions}
    needed = prod(
        size
        for axis, size in sizes.items()
        if axis not in fixed and not (where.baseline and intervenes(axis))
    )
    return len(found), needed if sizes else 0


def _spoken_of(case: Case, *, baseline: bool) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    if not baseline:
        yield case.id, case.params
    elif case.baseline is not None:
        yield case.baseline.id, case.baseline.params


def _own(name: str, cases: Sequence[PlannedCase]) -> list[Case]:
    # Once each: two benches may ask for the same case.
    return list({case.id: case.case for case in cases if case.experiment.name == name}.values())


def _selected_grid(cases: Sequence[Case]) -> Experiment:
    """The experiment of these cases with the axes that are left of its grid."""
    axes: dict[str, list[JsonValue]] = {}
    for case in cases:
        for axis, value in case.params.items():
            values = axes.setdefault(axis, [])
            if value not in values:
                values.append(value)
    return cases[0].experiment.model_copy(update={"axes": axes})


def _metric_problem(text: str, case: PlannedCase) -> str:
    """What is wrong with a gate's metric, or nothing."""
    gate: Gate = parse_gate(text)
    if isinstance(gate, NeutralEqualsBaseline | SameAcross):
        return ""
    names = case.metrics
    if gate.metric is not None and gate.metric not in names:
        measuring = f"measure: {case.measure.name}" if case.measure.reads else case.task.name
        return (
            f"{text!r}: {measuring} has no metric {gate.metric!r};"
            f"{suggestion(gate.metric, names)} it measures {', '.join(names)}"
        )
    metric = gate.metric or names[0]
    kind = metric_of(case.experiment.measure, metric)
    if isinstance(gate, NoWorse) and kind.good == "neither":
        return f"{text!r}: {directionless(metric)}; bound it instead, such as {metric} <= 1"
    return _unreachable(text, gate) if kind.share else ""


def _unreachable(text: str, gate: Gate) -> str:
    """What is wrong with a threshold for a share, which lies between 0 and 1, or nothing."""
    if not isinstance(gate, Threshold):
        return ""
    value = f"{gate.value:g}"
    if not 0 <= gate.value <= 1:
        percent = f"; {value} % is {gate.value / 100:g}" if 1 < gate.value <= 100 else ""
        return f"{text!r}: {gate.metric} is a share, between 0 and 1, and never {value}{percent}"
    if (gate.operator, gate.value) in {(">", 1), ("<", 0)}:
        beyond = "above 1" if gate.value else "below 0"
        return (
            f"{text!r}: {gate.metric} is a share and never {beyond}; write "
            f"{gate.metric} {gate.operator}= {value}"
        )
    return ""


def _firsts(cases: Sequence[PlannedCase]) -> list[PlannedCase]:
    """The first case of each experiment."""
    return list({case.experiment.name: case for case in reversed(cases)}.values())[::-1]
