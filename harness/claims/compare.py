"""Two runs case by case, paired by sample: what got better, what worse, how comparable they are.

Cases are matched by id, baselines included, samples by theirs: those that only one run has are
left out of both means, and it is said how many were compared. `delta` is the second run minus the
first. Differences of how the runs were made (determinism policy, weights, task version, settings)
are listed, because any of them may be what the numbers show.

Where a run stopped itself, how many samples there are depends on what they said. Then the samples
are taken in the order in which it asked them, and the test is one that holds at every moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import JsonValue

from harness.claims.comparison import ComparedCase, Comparison
from harness.claims.saved import SavedRun
from harness.errors import ReportError
from harness.report.report import CaseReport
from harness.spec.suggestion import suggestion
from harness.statistics.paired import corrected, paired
from harness.statistics.sequential import compare_anytime

#: Characters of a hash that are shown.
_HASH = 12
_FINGERPRINT = "fingerprint of "


def compare(
    before: SavedRun,
    after: SavedRun,
    *,
    metric: str | None = None,
    cases: Sequence[str] = (),
) -> Comparison:
    """Compare two runs by each case's primary metric, or by another one.

    Args:
        before: The run to compare with.
        after: The run that is judged.
        metric: Compared instead of the primary metric.
        cases: Ids of the cases to compare; all when empty.

    Raises:
        ReportError: a named metric or case is in none of the runs, or they have no case in common.
    """
    chosen = _chosen(before, after, cases)
    _check_metric(before, after, metric)
    rows, left_out, disjoint = [], {}, []
    for case in chosen:
        try:
            rows.append(_row(before, after, case, metric or case.metric))
        except _DisjointError as error:
            disjoint.append(case.id)
            left_out[case.id] = str(error)
        except ReportError as error:
            left_out[case.id] = str(error)
    ids = {case.id for case in after.report.cases}
    pairs = [(before.case(case.id), case) for case in chosen]
    shared = [(theirs, own) for theirs, own in pairs if theirs is not None]
    return Comparison(
        before,
        after,
        tuple(_corrected(rows)),
        tuple(_differences(before, after, shared)),
        left_out,
        tuple(case.id for case in before.report.cases if case.id not in ids and not cases),
        tuple(disjoint),
    )


class _DisjointError(ReportError):
    """Two cases that share no sample."""


def _chosen(before: SavedRun, after: SavedRun, cases: Sequence[str]) -> list[CaseReport]:
    ids = [case.id for case in after.report.cases]
    for case in cases:
        if case not in ids:
            raise ReportError(
                f"{case}: no such case in {after.name};{suggestion(case, ids)} "
                f"it has {len(ids)}, such as {next(iter(ids), 'none')}"
            )
    chosen = [case for case in after.report.cases if not cases or case.id in cases]
    if not any(before.case(case.id) for case in chosen):
        first = next((case.id for case in before.report.cases), "no case")
        raise ReportError(
            f"{before.name} and {after.name} have no case in common: "
            f"{first} there, {next((case.id for case in chosen), 'no case')} here; "
            "compare runs of the same spec"
        )
    return chosen


def _check_metric(before: SavedRun, after: SavedRun, metric: str | None) -> None:
    for run in (before, after):
        names = {name for metrics in run.values.values() for name in metrics}
        if metric is not None and metric not in names:
            raise ReportError(
                f"{metric}: no such metric in {run.name};{suggestion(metric, names)} "
                f"measured: {', '.join(sorted(names)) or 'none'}"
            )


def _row(before: SavedRun, after: SavedRun, case: CaseReport, metric: str) -> ComparedCase:
    theirs = before.case(case.id)
    if theirs is None:
        raise ReportError(f"not in {before.name}")
    for run, each in ((before, theirs), (after, case)):
        if each.status != "complete":
            raise ReportError(f"{each.status} in {run.name}")
        if metric not in run.values.get(each.id, {}):
            names = run.values.get(each.id, {})
            raise ReportError(f"no metric {metric} in {run.name};{suggestion(metric, names)}")
    if theirs.contents.get(metric) not in (None, case.contents.get(metric)):
        raise ReportError(f"{metric} was counted by other settings or files in {before.name}")
    own, other = after.values[case.id][metric], before.values[case.id][metric]
    sizes = len(other), len(own)
    stopped = theirs.stopped is not None or case.stopped is not None
    first, second = (own, other) if case.stopped is not None else (other, own)
    if theirs.stopped is not None and case.stopped is not None:
        _check_order(before, after, case, own, other)
    shared = [sample for sample in first if sample in second]
    if not shared:
        raise _DisjointError(
            f"no sample of {before.name} ({sizes[0]}, such as {next(iter(other), 'none')}) is in "
            f"{after.name} ({sizes[1]}, such as {next(iter(own), 'none')})"
        )
    own, other = ({sample: side[sample] for sample in shared} for side in (own, other))
    kind = case.kind(metric)
    versus = compare_anytime(own, other, kind) if stopped else paired(own, other, kind)
    if versus is None:
        raise ReportError(f"{metric} has no bounds, and a run that stopped itself bets on bounded")
    before_mean, after_mean = kind.of(other.values()), kind.of(own.values())
    return ComparedCase(case, metric, before_mean, after_mean, versus, len(shared), sizes)


def _check_order(
    before: SavedRun, after: SavedRun, case: CaseReport, *asked: Mapping[str, JsonValue]
) -> None:
    """Raise ReportError where two runs that stopped themselves asked samples in other orders."""
    fewest = min(map(len, asked))
    first, second = (list(samples)[:fewest] for samples in asked)
    if first != second:
        raise ReportError(
            f"{case.experiment} stopped itself in {before.name} and in {after.name}, in other "
            "orders of samples; compare runs with one stop.seed"
        )


def _corrected(rows: Sequence[ComparedCase]) -> list[ComparedCase]:
    """The rows with Holm's p over those of the same experiment and metric."""
    families: dict[tuple[str, str], list[int]] = {}
    for position, row in enumerate(rows):
        families.setdefault((row.case.experiment, row.metric), []).append(position)
    found = list(rows)
    for positions in families.values():
        family = corrected([rows[position].versus for position in positions])
        for position, versus in zip(positions, family, strict=True):
            found[position] = replace(rows[position], versus=versus)
    return found


def _differences(
    before: SavedRun, after: SavedRun, shared: Sequence[tuple[CaseReport, CaseReport]]
) -> Iterator[str]:
    """What differs between the runs beside their results, the most telling first."""
    tasks = Counter(
        f"task {theirs.task.name} version {theirs.task.version} -> "
        f"{own.task.name} version {own.task.version}"
        for theirs, own in shared
        if (theirs.task.name, theirs.task.version) != (own.task.name, own.task.version)
    )
    yield from _counted(tasks, "other versions of a task cannot be compared")
    one, other = before.report.run.determinism, after.report.run.determinism
    for key in sorted(one.keys() | other.keys()):
        then, now = one.get(key, "not said"), other.get(key, "not said")
        if then == now:
            continue
        if not key.startswith(_FINGERPRINT):
            yield f"determinism {key}: {then} -> {now}"
        elif key in one and key in other:  # a model of one run alone shows in the settings
            yield f"{key}: {then[:_HASH]} -> {now[:_HASH]}"
    settings = Counter[str]()
    for theirs, own in shared:
        left, right = dict(_flat(theirs.settings)), dict(_flat(own.settings))
        for field in sorted((left.keys() | right.keys()) - {"metrics"}):  # `_row` minds them
            if left.get(field) != right.get(field):
                settings[f"{field}: {left.get(field)} -> {right.get(field)}"] += 1
    yield from _counted(settings)


def _counted(found: Counter[str], remark: str = "") -> Iterator[str]:
    for text, count in found.items():
        cases = f"{count} case{'s' if count != 1 else ''}"
        yield f"{text} ({cases}{'; ' if remark else ''}{remark})"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
