"""The reports of all shards of a run, joined into the report that one machine would have written.

Everything is computed again from the shards' records: intervals, comparisons, corrections, gates.
Nothing is copied from one report into another but when, where and with what its shard was run, and
the identities that it checked on whole models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.claims.earlier import claims_of, findings_of
from harness.errors import ReportError, StoreError
from harness.options import spelled
from harness.report.load import load_report
from harness.report.recorded import recorded_results
from harness.report.report import RunReport
from harness.report.run_info import Cost, RunInfo, ShardInfo
from harness.report.write import check_writable
from harness.runs.agreement import with_one_baseline
from harness.runs.conclude import Finished, conclude
from harness.store.recorded import RecordReader
from harness.store.results import CaseResult, InvariantResult


def merge(directories: Sequence[Path], target: Path) -> Finished:
    """Write the report of a whole run into `target` from those of all its shards.

    Raises:
        ReportError: as `joined`, or `target` is in use; nothing is written then.
    """
    used = [directory for directory in directories if directory.resolve() == target.resolve()]
    if used:
        raise ReportError(f"{target}: is one of the shards' reports; choose another directory")
    check_writable(target)
    run, results = joined(directories)
    reports = [load_report(directory) for directory in directories]
    findings = _findings_in_order(reports, findings_of(reports, results))
    return conclude(run, results, target, findings, claims_of(reports, results))


def joined(directories: Sequence[Path]) -> tuple[RunInfo, list[CaseResult]]:
    """The results of all shards in the order of a single run, and what is to be said of their run.

    Raises:
        ReportError: a report cannot be read or is not a shard's, or these are not the shards of one
            run: one is missing or there twice, or they differ in specs, models or versions.
    """
    reports = [(directory, load_report(directory)) for directory in directories]
    shards = [(directory, report, _shard(directory, report)) for directory, report in reports]
    (first, reference, whole), *others = shards
    for directory, report, shard in others:
        _check_same_run(first, reference, whole, directory, report, shard)
    _check_complete([(directory, shard) for directory, _, shard in shards])
    reader = RecordReader()
    results = _in_order(
        whole, (result for directory in directories for result in _records(directory, reader))
    )
    return _run_info([report for _, report in reports]), with_one_baseline(results)


def _shard(directory: Path, report: RunReport) -> ShardInfo:
    if report.run.shard is None:
        raise ReportError(
            f"{directory}: is the report of a whole run; merge takes those of "
            f"{spelled('shard', '1/N')} to N/N"
        )
    return report.run.shard


def _check_same_run(
    first: Path,
    reference: RunReport,
    whole: ShardInfo,
    directory: Path,
    report: RunReport,
    shard: ShardInfo,
) -> None:
    """Raise `ReportError` unless two reports are shares of the same run on the same models."""

    def refuse(what: str, remedy: str) -> ReportError:
        return ReportError(f"{directory}: {what} than {first}; {remedy}")

    again = "run both shards with the same command, but for I"
    if shard.of != whole.of:
        raise refuse(f"is one of {shard.of} shards, which is another split ({whole.of})", again)
    if any(
        getattr(shard, each) != getattr(whole, each)
        for each in ("selection", "cases", "identities", "array")
    ):
        raise refuse("was made from other specs or options", again)
    for name in sorted(reference.run.versions.keys() | report.run.versions.keys()):
        expected, found = (each.run.versions.get(name) for each in (reference, report))
        if expected != found:
            raise refuse(
                f"was made with another {name} ({found}, not {expected})",
                "install the same versions everywhere and run one of them again",
            )
    theirs, ours = reference.run.determinism, report.run.determinism
    # The settings first: they say why fingerprints differ.
    for name in sorted(theirs.keys() & ours.keys(), key=lambda key: (" of " in key, key)):
        if theirs[name] != ours[name]:
            raise refuse(
                f"was made on another model or engine ({name}: {_short(ours[name])}, not "
                f"{_short(theirs[name])})",
                "run one of them again where both are the same",
            )


def _check_complete(shards: Sequence[tuple[Path, ShardInfo]]) -> None:
    """Raise `ReportError` unless every shard is there once."""
    seen: dict[int, Path] = {}
    for directory, shard in shards:
        if shard.index in seen:
            raise ReportError(
                f"{directory}: is shard {shard.index}/{shard.of}, and so is {seen[shard.index]}; "
                "give every shard once"
            )
        seen[shard.index] = directory
    of = shards[0][1].of
    missing = [index for index in range(1, of + 1) if index not in seen]
    if missing and shards[0][1].array:
        tasks = ",".join(str(index - 1) for index in missing)
        raise ReportError(
            f"task {missing[0] - 1} of the array is missing, {len(missing)} of {of} in all; run "
            f"sbatch --array={tasks}"
        )
    if missing:
        lost = f"{missing[0]}/{of}"
        raise ReportError(
            f"shard {lost} is missing; run it with {spelled('shard', lost)}, and give its report "
            "too"
        )


def _records(directory: Path, reader: RecordReader) -> Iterable[CaseResult]:
    try:
        yield from recorded_results(directory, reader.result)
    except StoreError as error:
        raise ReportError(str(error)) from error


def _in_order(whole: ShardInfo, results: Iterable[CaseResult]) -> list[CaseResult]:
    """Results as a single run orders them: every case after its baseline.

    Of a baseline that several shards have run, a complete result is preferred, then the first.

    Raises:
        ReportError: a case of the selection is in no shard's records, or shards have counted a
            metric by other settings or files.
    """
    found: dict[str, CaseResult] = {}
    contents: dict[tuple[str, str], str] = {}
    for result in results:
        for metric, content in result.contents.items():
            if contents.setdefault((result.case.experiment.name, metric), content) != content:
                raise ReportError(
                    f"{result.case.id}: {metric} was counted by other settings or files than in "
                    "another shard; `titrate rescore` the shards with the same ones"
                )
        known = found.get(result.case.id)
        if known is None or (known.status != "complete" and result.status == "complete"):
            found[result.case.id] = result
    ordered: dict[str, CaseResult] = {}
    for id_ in whole.cases:
        if id_ not in found:
            raise ReportError(f"{id_}: no shard has a record of this case; run its shard again")
        baseline = found[id_].baseline
        if baseline in found:
            ordered.setdefault(baseline, found[baseline])
        ordered[id_] = found[id_]
    return list(ordered.values())


def _findings_in_order(
    reports: Sequence[RunReport], findings: Iterable[InvariantResult]
) -> list[InvariantResult]:
    """What was checked on whole models, as a single run orders it.

    Raises:
        ReportError: no shard has checked an identity of the selection.
    """
    assert reports[0].run.shard is not None
    found = {(each.name, each.case): each for each in findings}
    for name, case in reports[0].run.shard.identities:
        if (name, case) not in found:
            raise ReportError(f"{name}: no shard has checked this on {case}; run its shard again")
    order = dict.fromkeys(reports[0].run.shard.identities)
    return [found[each] for each in order | found if each in found]


def _run_info(reports: Sequence[RunReport]) -> RunInfo:
    """From the first start to the last end, with the shards' commands as one would type them."""
    runs = [report.run for report in reports]
    finished = [run.finished for run in runs]
    return runs[0].model_copy(
        update={
            "id": "+".join(run.id for run in runs),
            "started": min(run.started for run in runs),
            "finished": None if None in finished else max(each for each in finished if each),
            "command": "; ".join(dict.fromkeys(run.command for run in runs)),
            "determinism": {name: value for run in runs for name, value in run.determinism.items()},
            "shard": None,
            "cost": _cost([run.cost for run in runs]),
        }
    )


def _cost(costs: Sequence[Cost | None]) -> Cost | None:
    """What all shards took together; None unless each of them says it."""
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    names = set(Cost.model_fields) - {"tokens_per_second", "peak_memory_gib"}
    total = {name: sum(getattr(cost, name) for cost in known) for name in names}
    tokens, seconds = total["tokens"], total["engine_seconds"]
    held: dict[str, float] = {}
    for cost in known:
        for name, peak in cost.peak_memory_gib.items():
            held[name] = max(peak, held.get(name, 0))
    return Cost(
        **total,
        tokens_per_second=tokens / seconds if tokens and seconds else None,
        peak_memory_gib=held,
    )


def _short(value: str) -> str:
    return f"{value[:12]}..." if len(value) > 16 else value
