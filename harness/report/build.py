"""Results in, report out: metrics, comparisons with baselines and agreement, case by case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from statistics import fmean
from typing import TypeAlias

from pydantic import JsonValue, ValidationError

from harness.errors import ReportError
from harness.report.doses import dose_reports, potency_reports, window_reports
from harness.report.help import help_reports
from harness.report.predictors import predictor_reports
from harness.report.report import (
    Agreement,
    CaseReport,
    GateReport,
    InvariantReport,
    RouterUsage,
    RunReport,
    StatedMetric,
    TaskInfo,
)
from harness.report.run_info import RunInfo
from harness.report.stopping import stopped_report, stopping_reports
from harness.report.vectors_report import vector_norms
from harness.spec import Experiment
from harness.statistics.estimates import Metric, Versus
from harness.statistics.intervals import mean_interval
from harness.statistics.paired import corrected, paired, summarise
from harness.statistics.sequential import compare_anytime, summarise_anytime
from harness.store.results import CaseResult, GateResult, InvariantResult, compared

#: Tokens of a case's completions, by sample and draw.
Lengths: TypeAlias = Mapping[tuple[str, int], int]

# Of the whole experiment rather than of one of its cases.
_NOT_SETTINGS = {"name", "description", "axes", "dose", "gates", "columns", "resources"}


def build(
    run: RunInfo,
    results: Sequence[CaseResult],
    invariants: Sequence[InvariantResult] = (),
    gates: Sequence[GateResult] = (),
) -> RunReport:
    """Compute a report: one case in it per result, in the same order.

    A complete case whose values are not finite, or whose samples are not as many as its task's, is
    reported as failed. One whose baseline is missing or not complete has its own metrics and a
    warning in place of the comparison.

    Raises:
        ReportError: a dose or a time is not a finite number.
    """
    measured = [_measure(result) for result in results]
    by_id = {result.case.id: result for result, _ in measured}
    axes, grids = _dose_axes(results), _grids(results)
    counted = [result for result, _ in measured]
    lengths: dict[str, Lengths] = {}
    sections: dict[tuple[str, int], JsonValue] = {}
    try:
        return RunReport(
            run=run,
            cases=_ended(
                _corrected(
                    [
                        _sharing(
                            _case(result, metrics, by_id, axes, grids, lengths),
                            result.case.experiment,
                            sections,
                        )
                        for result, metrics in measured
                    ]
                ),
                [result for result, _ in measured],
                by_id,
            ),
            doses=tuple(dose_reports(counted, axes)),
            windows=tuple(window_reports(counted, axes)),
            potencies=tuple(potency_reports(counted, axes)),
            stopping=tuple(stopping_reports(counted)),
            help=tuple(help_reports(counted, axes)),
            predictors=tuple(predictor_reports(counted)),
            invariants=tuple(InvariantReport(**asdict(each)) for each in invariants),
            gates=tuple(map(GateReport.of, gates)),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReportError(
            f"{error.title} {where}: {first['input']!r}; {first['msg'].lower()}"
        ) from error


def _ended(
    cases: Sequence[CaseReport], results: Sequence[CaseResult], by_id: Mapping[str, CaseResult]
) -> tuple[CaseReport, ...]:
    """The cases with how each ended, of a run that stopped itself; Holm's p is in the verdict."""
    return tuple(
        case.model_copy(
            update={
                "stopped": stopped_report(
                    result, by_id.get(result.baseline or ""), case.versus_baseline
                )
            }
        )
        for case, result in zip(cases, results, strict=True)
    )


def _corrected(cases: Sequence[CaseReport]) -> tuple[CaseReport, ...]:
    """The cases with Holm's p, over the compared cases of each experiment, metric by metric."""
    families: dict[tuple[str, str], dict[int, Versus]] = defaultdict(dict)
    for position, case in enumerate(cases):
        for metric, versus in case.versus_baseline.items():
            families[case.experiment, metric][position] = versus
    found: list[dict[str, Versus]] = [{} for _ in cases]
    for (_, metric), family in families.items():
        for position, versus in zip(family, corrected(list(family.values())), strict=True):
            found[position][metric] = versus
    # In the order of the case's own metrics, which is that of columns.
    return tuple(
        case.model_copy(
            update={"versus_baseline": {name: own[name] for name in case.versus_baseline}}
        )
        for case, own in zip(cases, found, strict=True)
    )


def _dose_axes(results: Sequence[CaseResult]) -> dict[str, str]:
    """The dose's axis by experiment: the one that its spec names.

    A case of which that is not recorded has it where a value is the dose in every case; of axes
    that fit alike (each with a single value, the same) the intervention's is taken.
    """
    candidates: dict[str, list[str]] = {}
    for result in results:
        case = result.case
        if case.dose is not None:
            axes = candidates.setdefault(case.experiment.name, list(case.params))
            named = case.experiment.dose
            axes[:] = [
                axis
                for axis in axes
                if (case.params.get(axis) == case.dose if named is None else axis == named)
            ]
    return {
        name: min(axes, key=lambda axis: not axis.startswith("intervention."))
        for name, axes in candidates.items()
        if axes
    }


def _grids(results: Sequence[CaseResult]) -> dict[str, int]:
    """By the ids of cases that are not baselines, the size of their experiment's whole grid.

    Spec files that share a name are one experiment.
    """
    baselines = {result.baseline for result in results}
    cases = [result.case for result in results if result.case.id not in baselines]
    files: dict[str, dict[str, int]] = {}
    for case in cases:
        files.setdefault(case.experiment.name, {})[case.source.file] = case.of
    return {case.id: sum(files[case.experiment.name].values()) for case in cases}


def _measure(result: CaseResult) -> tuple[CaseResult, dict[str, Metric]]:
    """The result with its metrics; a complete one that has none becomes a failed one."""
    if result.status != "complete":
        return result, {}
    try:
        return result, _metrics(result)
    except ReportError as error:
        return replace(result, status="failed", error=str(error)), {}


def _metrics(result: CaseResult) -> dict[str, Metric]:
    if result.metric not in result.sample_metrics:
        raise ReportError(f"{result.metric}: not measured, though the case ended")
    metrics = {}
    for name, values in result.sample_metrics.items():
        failed = len(result.failures.get(name, {}))
        asks = result.kind(name).asks
        stated = result.entries.get(name)
        of_samples = (asks is None or asks.items is None) and not (stated and stated.partial)
        if of_samples and len(values) + failed != result.task_size:
            raise ReportError(
                f"{name}: {len(values)} samples have a value, {result.task_name} has "
                f"{result.task_size}; the rest must be scored 0, not left out"
            )
        try:
            kind = result.kind(name)
            stops = result.stopped is not None
            metrics[name] = (summarise_anytime if stops else summarise)(values, kind)
        except ReportError as error:
            raise ReportError(f"{name}: {error}") from error
    return metrics


def _case(
    result: CaseResult,
    metrics: dict[str, Metric],
    by_id: Mapping[str, CaseResult],
    dose_axes: Mapping[str, str],
    grids: Mapping[str, int],
    lengths: dict[str, Lengths],
) -> CaseReport:
    versus: dict[str, Versus] = {}
    agreement = None
    warnings = result.warnings
    if metrics and result.baseline is not None:
        try:
            baseline = _baseline(result.baseline, by_id)
            compare = paired if result.stopped is None else compare_anytime
            found = {
                name: compare(*compared(result, baseline, name), result.kind(name))
                for name in result.sample_metrics
                if name in baseline.sample_metrics
            }
            versus = {name: each for name, each in found.items() if each is not None}
            if result.baseline not in lengths:  # cases of a grid share a few baselines
                lengths[result.baseline] = _lengths(baseline)
            agreement = _agreement(result, lengths[result.baseline])
        except ReportError as error:
            warnings = (*warnings, f"not compared with {result.baseline}: {error}")
    experiment = result.case.experiment
    return CaseReport(
        id=result.case.id,
        nodeid=result.nodeid,
        experiment=experiment.name,
        model=experiment.model,
        task=TaskInfo(name=result.task_name, version=result.task_version, size=result.task_size),
        params=dict(result.case.params),
        settings=experiment.model_dump(mode="json", exclude=_NOT_SETTINGS),
        usage=None if result.usage is None else RouterUsage(**asdict(result.usage)),
        intervention=None if result.intervention is None else result.intervention.described(),
        vectors=vector_norms(result.intervention),
        dose_axis=dose_axes.get(experiment.name),
        dose=result.case.dose,
        baseline=result.baseline,
        grid=grids.get(result.case.id),
        status=result.status,
        metric=result.metric,
        metrics=metrics,
        versus_baseline=versus,
        contents=dict(result.contents),
        entries={name: StatedMetric(**asdict(each)) for name, each in result.entries.items()},
        agreement=agreement,
        counts=dict(result.counts),
        tokens=result.tokens,
        seconds=result.seconds,
        warnings=warnings,
        error=result.error,
    )


def _sharing(
    case: CaseReport, experiment: Experiment, known: dict[tuple[str, int], JsonValue]
) -> CaseReport:
    """The case whose settings have one object for each section that cases have in common.

    Sections that were read from records are one object where they are alike (`CaseReader`): what
    is said of them is half of a large report's memory.
    """
    settings = dict(case.settings)
    for name, said in case.settings.items():
        section = getattr(experiment, name, None)  # which lives as long as its case
        if section is not None and isinstance(said, dict | list):
            settings[name] = known.setdefault((name, id(section)), said)
    return case.model_copy(update={"settings": settings})


def _baseline(case: str, by_id: Mapping[str, CaseResult]) -> CaseResult:
    if case not in by_id:
        raise ReportError("it is not part of this run")
    if by_id[case].status != "complete":
        raise ReportError(f"it is {by_id[case].status}")
    return by_id[case]


def _lengths(result: CaseResult) -> Lengths:
    return {(draw.sample, draw.draw): draw.tokens for draw in result.lengths}


def _agreement(result: CaseResult, reference: Lengths) -> Agreement | None:
    """Agreement over the samples of a case; None where a draw was not compared.

    A completion that ends early agrees over its whole length and is identical only where the
    baseline's has that length, too.
    """
    tokens: dict[str, list[int]] = defaultdict(list)
    identical: dict[str, bool] = {}
    equal = drawn = 0
    for sample, number, length, agreed in result.lengths:
        expected = reference.get((sample, number))
        if agreed is None or expected is None:
            return None
        tokens[sample].append(agreed)
        same = agreed == length == expected
        equal += agreed
        # The first departure, where neither is over before it, was drawn after equal tokens, too.
        drawn += min(agreed + 1, length, expected)
        identical[sample] = identical.get(sample, True) and same
    if not tokens:
        return None
    lengths = [sum(draws) / len(draws) for draws in tokens.values()]
    low, high = mean_interval(lengths)
    return Agreement(
        tokens=fmean(lengths),
        ci_low=None if low is None else max(low, 0.0),
        ci_high=high,
        identical=fmean(identical.values()),
        coupled=equal / drawn if drawn else None,
    )
