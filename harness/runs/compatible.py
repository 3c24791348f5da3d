"""Which cases can be told apart in one run: by their ids, names and gates."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import SpecError
from harness.runs.planned_case import PlannedCase


def check_compatible(cases: Iterable[PlannedCase]) -> None:
    """Refuse two different cases of one id, and one experiment's name with different gates.

    Names that differ in the case of letters alone are one name to some file systems.

    Raises:
        SpecError: naming the spec files that must be told apart.
    """
    experiments: dict[str, PlannedCase] = {}
    gates: dict[str, PlannedCase] = {}
    names: dict[str, PlannedCase] = {}
    for case in cases:
        alike = names.setdefault(case.experiment.name.casefold(), case)
        if alike.experiment.name != case.experiment.name:
            problem = f"differs from {alike.experiment.name} in capitals alone, as files may not"
            raise SpecError(f"{case.experiment.name}: {problem}; {_remedy(alike, case)}")
        for each in (case, case.baseline):
            if each is None:
                continue
            same = experiments.setdefault(each.id, each)
            if same.experiment != each.experiment:
                problem = "two different experiments have this id"
                raise SpecError(f"{each.id}: {problem}; {_remedy(same, each)}")
        named = gates.setdefault(case.experiment.name, case)
        if named.experiment.gates != case.experiment.gates:
            problem = "two experiments of this name have different gates"
            raise SpecError(f"{case.experiment.name}: {problem}; {_remedy(named, case)}")


def _remedy(one: PlannedCase, other: PlannedCase) -> str:
    files = sorted({one.case.source.file, other.case.source.file} - {""})
    return f"rename one of those in {', '.join(files) or 'Python'}"
