"""Whether the recorded cases are those of the spec files that lie in the bundle, and all of them.

What the options of the run have set (`--titrate-set task.limit=3`) stands in the records, as the
origin of its fields: it is set again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.bundle.archive import BundleManifest
from harness.bundle.differences import Mismatch, changed, compared, replaced
from harness.bundle.selection import explained
from harness.errors import TitrateError
from harness.files.portable import portable
from harness.interventions.kind import kind_of
from harness.options import assignment
from harness.report.run_info import RunInfo
from harness.spec import Case, expand, load
from harness.store.results import CaseResult


def by_spec(results: Sequence[CaseResult]) -> Mapping[str, Sequence[CaseResult]]:
    """The results of every spec file that is there."""
    files: dict[str, list[CaseResult]] = {}
    for result in results:
        file = result.case.source.file
        if file and Path(file).is_file():
            files.setdefault(file, []).append(result)
    return files


def set_by_options(results: Sequence[CaseResult]) -> list[str]:
    """What options have set in these cases, in an order in which it can be set again.

    Of two options of which one sets a part of what the other does, the wider one came first: it
    would have left nothing of the other.
    """
    found: dict[str, int] = {}
    for result in results:
        for name, origin in result.case.source.origins:
            text = assignment(origin.text)
            if text is not None:
                found[text] = min(found.get(text, name.count(".")), name.count("."))
    return sorted(found, key=lambda text: found[text])


def against_specs(
    results: Sequence[CaseResult], manifest: BundleManifest, info: RunInfo
) -> Iterator[Mismatch | str]:
    """Yield every setting of a case that neither its spec nor an option says, every spec that is
    not there, and every case of a spec that was not recorded.

    Of cases that are missing for a reason that the run itself gives, and of cases without a spec,
    a line is yielded: neither is proof of anything.
    """
    moved = manifest.moved
    absent = {*manifest.absent, *(moved.get(path) for path in manifest.absent)}
    there = by_spec(results)
    files = dict.fromkeys(result.case.source.file for result in results)
    for file in files:
        if file and file not in there and str(portable(file)) not in absent:
            yield Mismatch(file, "spec", "it is missing", "needed for the settings of its cases")
    unwritten = sum(not result.case.source.file for result in results)
    if unwritten:
        yield f"not compared: the settings of {unwritten} cases, which were written in no spec"
    for file, own in there.items():
        try:
            cases = expand(*load(file, set_by_options(own)))
        except TitrateError as error:
            yield Mismatch(file, "spec", "the one of the run", str(error))
            continue
        known = {case.id: case for each in cases for case in _with_baseline(each)}
        yield from _against(own, known, moved)
        if cases[0].experiment.search is None:  # a search asks for others than those of its grid
            yield from _lacking(file, own, known, info)


def _lacking(
    file: str, own: Sequence[CaseResult], known: Mapping[str, Case], info: RunInfo
) -> Iterator[Mismatch | str]:
    """Cases of a spec that are not in the records; some a run leaves out, and says so."""
    recorded = {result.case.id: result.nodeid for result in own}
    baselines = {case.baseline.id for case in known.values() if case.baseline is not None}
    compared_with = {each.case.baseline.id for each in own if each.case.baseline is not None}
    # A baseline is run for the cases that are compared with it.
    cases = [
        case
        for name, case in known.items()
        if name not in recorded and (name not in baselines or name in compared_with)
    ]
    asked = {name: node for name, node in recorded.items() if name not in baselines}
    unselected = explained(info.command, file, asked, [case.id for case in cases])
    reasons = {case.id: _reason(case, info, unselected=case.id in unselected) for case in cases}
    for reason in dict.fromkeys(filter(None, reasons.values())):
        names = ", ".join(name for name, each in reasons.items() if each == reason)
        yield f"cases of {file} that are not in the bundle: {names}: {reason}"
    for name, reason in reasons.items():
        if not reason:
            yield Mismatch(name, "case", "it is missing", f"a case of {file}")


def _reason(case: Case, info: RunInfo, *, unselected: bool) -> str:
    """Why a run has left out a case, as far as that follows from anything; empty for no reason."""
    settings = case.experiment.intervention
    lacking = None if settings is None else kind_of(settings.kind).lacks(settings)
    if info.shard is not None and case.id in info.shard.cases:
        return f"the run is shard {info.shard.index} of {info.shard.of}"
    if case.experiment.requires.model_fields_set:
        return "their spec requires what a machine may lack"
    if lacking is not None:
        return lacking
    return f"the run has not selected them: {info.command}" if unselected else ""


def _with_baseline(case: Case) -> Iterator[Case]:
    if case.baseline is not None:
        yield case.baseline
    yield case


def _against(
    results: Sequence[CaseResult], cases: Mapping[str, Case], moved: Mapping[str, str]
) -> Iterator[Mismatch]:
    order = list(cases)
    latest = -1
    for result in results:
        case = result.case
        known = cases.get(case.id)
        if known is None:
            yield Mismatch(case.id, "case", "recorded", f"{case.source.file} has none of this id")
            continue
        if case.baseline is not None:
            position = order.index(case.id)
            if position < latest:
                yield Mismatch(case.id, "order", "behind its successor", "that of the spec")
            latest = max(latest, position)
        yield from compared(
            changed(portable(case.experiment.model_dump(mode="json")), _short),
            changed(replaced(portable(known.experiment.model_dump(mode="json")), moved), _short),
            case.id,
            "",
        )


def _short(text: str) -> str:
    """A path the short way: a spec names files from where it lies, as in `./specs/../data/x`, and
    a bundle has what lay elsewhere by its true path.
    """
    if text.startswith("./") and "/../" in text:
        return f"./{os.path.normpath(text)}"
    return text
