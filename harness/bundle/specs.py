"""Whether the recorded cases are those of the spec files that lie in the bundle, and all of them.

What the options of the run have set (`--titrate-set task.limit=3`) stands in the records, as the
origin of its fields: it is set again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.bundle.archive import BundleManifest
from harness.bundle.differences import Mismatch, changed, compared, replaced
from harness.errors import TitrateError
from harness.files.portable import portable
from harness.options import assignment
from harness.report.run_info import RunInfo
from harness.spec import Case, expand, load
from harness.store.results import CaseResult

#: What selects cases on pytest's command line, or ends it early.
_SELECTS = re.compile(r"(^| )(-k|-m|-x|--maxfail|--deselect|--lf|--last-failed|--ff|--sw)\b|::")


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
            recorded = {result.case.id for result in own}
            lacking = [case for name, case in known.items() if name not in recorded]
            yield from _lacking(file, lacking, info)


def _lacking(file: str, cases: Sequence[Case], info: RunInfo) -> Iterator[Mismatch | str]:
    """Cases of a spec that are not in the records; some a run leaves out, and says so."""
    needing = [case for case in cases if case.experiment.requires.model_fields_set]
    for reason, left_out in (
        (_selected(info), cases),
        ("their spec requires what a machine may lack", needing),
    ):
        if reason and left_out:
            names = ", ".join(case.id for case in left_out)
            yield f"cases of {file} that are not in the bundle: {names}: {reason}"
            cases = [case for case in cases if case not in left_out]
    for case in cases:
        yield Mismatch(case.id, "case", "it is missing", f"a case of {file}")


def _selected(info: RunInfo) -> str | None:
    """Why a run may have left out cases, by what it says of itself."""
    if info.shard is not None:
        return f"the run is shard {info.shard.index} of {info.shard.of}"
    if info.finished is None:
        return "the run did not end"
    if _SELECTS.search(info.command):
        return f"the run has selected its cases: {info.command}"
    return None


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
