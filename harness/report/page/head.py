"""The head of the page: what was run, what held, what needs attention."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from harness.report.labels import text
from harness.report.page.identities import on_models
from harness.report.page.states import State, rank, state_of, summary, worst
from harness.report.report import CaseReport, RunReport
from harness.report.run_info import Cost

_SHORT_COMMIT = 10
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class TallyLine:
    """One thing that was to be checked: `what` of `where`, what came of it, and why."""

    state: State
    what: str
    where: str
    detail: str


@dataclass(frozen=True)
class Tally:
    """Checks of one kind: how many held, and each of them, violated ones first.

    `state` is that of the worst of them; `unchecked` where there was nothing of this kind to check.
    """

    name: str
    state: State
    summary: str
    lines: tuple[TallyLine, ...] = ()


@dataclass(frozen=True)
class Concern:
    """An error or a warning, and the ids of the cases that have it, the worst one first."""

    kind: str
    message: str
    cases: tuple[str, ...]
    serious: bool
    """Whether the cases have no numbers for it."""


def verdicts(report: RunReport) -> list[Tally]:
    """What was checked: cases that ended, invariants, gates.

    Identities on whole models are counted; they have a table of their own.
    """
    tabled = on_models(report)
    own = [each for each in report.invariants if each not in tabled]
    told = [TallyLine(state_of(each), each.name, each.case, each.detail) for each in own]
    gates = [
        TallyLine(state_of(gate), gate.gate, gate.experiment, gate.detail) for gate in report.gates
    ]
    gates += [
        TallyLine("unchecked", each.gate, each.experiment, f"not judged: needs {each.needs}")
        for each in report.unjudged
    ]
    return [
        _cases(report.cases),
        _verdict("Invariants", told, list(map(state_of, tabled))),
        _verdict("Gates", gates),
    ]


def facts(report: RunReport) -> list[tuple[str, list[tuple[str, str]]]]:
    """Everything the report says of the run, in groups of (name, value)."""
    run = report.run
    made = [
        ("run", run.id),
        ("command", run.command),
        ("started", f"{run.started:%Y-%m-%d %H:%M} UTC"),
    ]
    if run.finished is None:
        made.append(("finished", "no: the run was going on, or was killed"))
    else:
        made.append(("took", f"{(run.finished - run.started).total_seconds():.1f} s"))
    made += _cost(run.cost)
    if run.git is not None:
        dirty = ", with changes that are not committed" if run.git.dirty else ""
        made.append(("commit", run.git.commit[:_SHORT_COMMIT] + dirty))
    if run.shard is not None:
        made.append(("shard", f"{run.shard.index} of {run.shard.of}"))
        made += [("left to titrate merge", gate) for gate in run.shard.gates]
    groups = [
        ("Run", made),
        ("Determinism", _lines(run.determinism)),
        ("Versions", _lines(run.versions)),
        ("Hardware", _lines(run.hardware)),
    ]
    return [(name, lines) for name, lines in groups if lines]


def _cost(cost: Cost | None) -> list[tuple[str, str]]:
    """What the engines did in this run."""
    if cost is None:
        return []
    lines = []
    if cost.tokens_per_second is not None:
        speed = f"{cost.tokens:,} tokens in {cost.engine_seconds:.1f} s of the engines"
        lines.append(("made", f"{speed} ({cost.tokens_per_second:,.0f} tokens/s)"))
    peaks = [f"{name} {size:g} GiB" for name, size in cost.peak_memory_gib.items()]
    return [*lines, ("peak memory", ", ".join(peaks))] if peaks else lines


def attention(report: RunReport) -> list[Concern]:
    """Why cases have no numbers, then warnings; each once, with the cases it concerns.

    Of warnings that differ in their numbers only, the one with the largest stands for all.
    """
    errors: dict[tuple[str, str], list[str]] = {}
    warnings: dict[str, list[tuple[int, str, str]]] = {}
    for case in report.cases:
        if case.error is not None:
            errors.setdefault((case.status, case.error), []).append(case.id)
        for warning in case.warnings:
            found = _NUMBER.search(warning)
            entry = (int(found.group()) if found else 0, warning, case.id)
            warnings.setdefault(_NUMBER.sub("", warning), []).append(entry)
    concerns = [Concern(*kind, tuple(ids), serious=True) for kind, ids in errors.items()]
    for entries in warnings.values():
        entries.sort(key=lambda entry: -entry[0])
        ids = tuple(case for *_, case in entries)
        concerns.append(Concern("warning", entries[0][1], ids, serious=False))
    return concerns


def _cases(cases: Sequence[CaseReport]) -> Tally:
    """How many cases are complete; what became of the others is told by `attention`."""
    complete = sum(case.status == "complete" for case in cases)
    if not cases:
        return Tally("Cases", "unchecked", "none")
    if complete == len(cases):
        return Tally("Cases", "holds", f"all {len(cases)} complete")
    return Tally("Cases", "violated", f"{complete} of {len(cases)} complete")


def _verdict(name: str, lines: Sequence[TallyLine], elsewhere: Sequence[State] = ()) -> Tally:
    states = [*(line.state for line in lines), *elsewhere]
    ordered = tuple(sorted(lines, key=lambda line: rank(line.state)))
    return Tally(name, worst(states), summary(states) or "none checked", ordered)


def _lines(values: Mapping[str, JsonValue]) -> list[tuple[str, str]]:
    return [(name, _words(value)) for name, value in values.items()]


def _words(value: JsonValue) -> str:
    if isinstance(value, list):
        return ", ".join(text(each) for each in value) or "none"
    return text(value)
