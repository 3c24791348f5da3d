"""Whether recorded interventions are what their sections come to, where no model is needed to tell.

A random ordering follows from its seed and the model's configuration, one of a file from the file,
a measured one from the map of what was measured. What a kind cannot tell to the bit on another
machine, such as vectors, stays as it is recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.bundle.differences import Mismatch, compared
from harness.errors import TitrateError
from harness.files.portable import portable
from harness.interventions.base import Intervention
from harness.interventions.kind import kind_of
from harness.spec import Experiment
from harness.store.results import CaseResult, UsageMap


def against_sections(results: Sequence[CaseResult]) -> Iterator[Mismatch | str]:
    """Yield every recorded intervention that its section does not come to, and a line of those that
    could not be resolved again.
    """
    maps = list(dict.fromkeys(each.usage for each in results if each.usage is not None))
    left = Counter[str]()
    for result in results:
        experiment, recorded = result.case.experiment, result.intervention
        if experiment.intervention is None or recorded is None:
            continue
        try:
            again = _again(experiment, maps)
        except TitrateError as error:
            left[str(error)] += 1
            continue
        if again and recorded not in again:
            yield from compared(
                portable(recorded.model_dump(mode="json")),
                portable(again[0].model_dump(mode="json")),
                result.case.id,
                "intervention",
            )
    for why, count in left.items():
        yield f"not resolved again: the interventions of {count} cases: {why}"


def _again(experiment: Experiment, maps: Sequence[UsageMap]) -> list[Intervention]:
    """What the section comes to, by each of the maps where it goes by one."""
    settings = experiment.intervention
    assert settings is not None
    resolution = kind_of(settings.kind).resolution
    each_map: Sequence[UsageMap | None] = maps or [None]
    found = [resolution.again(experiment, settings, each) for each in each_map]
    return list(dict.fromkeys(each for each in found if each is not None))
