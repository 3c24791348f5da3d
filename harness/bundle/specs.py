"""Whether the recorded cases are those of the spec files that lie in the bundle.

What the options of the run have set (`--titrate-set task.limit=3`) stands in the records, as the
origin of its fields: it is set again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.bundle.differences import Mismatch, changed, compared, replaced
from harness.errors import TitrateError
from harness.files.portable import portable
from harness.options import assignment
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


def against_specs(results: Sequence[CaseResult], moved: Mapping[str, str]) -> Iterator[Mismatch]:
    """Yield every setting of a case that neither its spec nor an option says.

    `moved` says where files are now that the specs name elsewhere.
    """
    for file, own in by_spec(results).items():
        try:
            cases = expand(*load(file, set_by_options(own)))
        except TitrateError as error:
            yield Mismatch(file, "spec", "the one of the run", str(error))
            continue
        known = {case.id: case for each in cases for case in _with_baseline(each)}
        yield from _against(own, known, moved)


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
