"""Whether the recorded cases are those of the spec files that lie in the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.bundle.differences import Difference, compared, replaced
from harness.errors import TitrateError
from harness.files.portable import portable
from harness.spec import Case, expand, load
from harness.store.results import CaseResult

_OPTION = "--"


def against_specs(results: Sequence[CaseResult], moved: Mapping[str, str]) -> Iterator[Difference]:
    """Yield every setting of a case that its spec does not say, but for those set by options.

    `moved` says where files are now that the specs name elsewhere.
    """
    files: dict[str, list[CaseResult]] = {}
    for result in results:
        files.setdefault(result.case.source.file, []).append(result)
    for file, own in files.items():
        if not file or not Path(file).is_file():
            continue
        try:
            cases = expand(*load(file))
        except TitrateError as error:
            yield Difference(file, "spec", "the one of the run", str(error))
            continue
        known = {case.id: case for each in cases for case in _with_baseline(each)}
        yield from _against(own, known, moved)


def _with_baseline(case: Case) -> Iterator[Case]:
    if case.baseline is not None:
        yield case.baseline
    yield case


def _against(
    results: Sequence[CaseResult], cases: Mapping[str, Case], moved: Mapping[str, str]
) -> Iterator[Difference]:
    order = list(cases)
    latest = -1
    for result in results:
        case = result.case
        set_by_options = {
            name for name, origin in case.source.origins if origin.text.startswith(_OPTION)
        }
        known = cases.get(case.id)
        if known is None:
            if not set_by_options:
                yield Difference(
                    case.id, "case", "recorded", f"{case.source.file} has none of this id"
                )
            continue
        if case.baseline is not None:
            position = order.index(case.id)
            if position < latest:
                yield Difference(case.id, "order", "behind its successor", "that of the spec")
            latest = max(latest, position)
        for each in compared(
            portable(case.experiment.model_dump(mode="json")),
            replaced(portable(known.experiment.model_dump(mode="json")), moved),
            case.id,
            "",
        ):
            field = each.what.split("[")[0]
            if not any(field == name or field.startswith(f"{name}.") for name in set_by_options):
                yield each
