"""From the cases of a run to the tasks of arrays: which cases a task runs, and in which order.

Cases that share a model and what they ask the cluster for make a group, each of which is an array.
Its most expensive tasks come first, so that the last ones to end are small (longest processing time
first). What several tasks of a group need is made before them: their baselines, and what their
interventions are measured on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil

from harness.launch.cluster.dealing import chunks
from harness.launch.cluster.submission import ArrayTask, TaskGroup
from harness.resolve.resolver import measured_for
from harness.runs.partition import expected_cost, partition
from harness.runs.plan import by_model
from harness.runs.planned_case import PlannedCase
from harness.runs.stopping import stopping


def grouped(cases: Sequence[PlannedCase], tasks: int | None = None) -> tuple[TaskGroup, ...]:
    """The groups of a run's cases, with their tasks.

    Args:
        cases: All of the run.
        tasks: At most so many for each group, beside those that come first; one per case if None.
    """
    groups: dict[str, list[PlannedCase]] = {}
    for same in by_model(cases).values():
        for case in same:
            resources = case.experiment.resources.model_dump_json()
            model = case.experiment.model, case.experiment.engine.model_dump_json()
            groups.setdefault(f"{model} {resources}", []).append(case)
    names = map("{:05d}".format, range(len(cases)))
    return tuple(
        TaskGroup(own[0].experiment.model, own[0].experiment.resources, _tasks(own, tasks, names))
        for own in groups.values()
    )


def _tasks(
    cases: Sequence[PlannedCase], most: int | None, names: Iterator[str]
) -> tuple[ArrayTask, ...]:
    whole = stopping(cases)  # what one of their cases is asked depends on the others
    single = [[case] for case in cases if case.experiment.name not in whole]
    parts = [*whole.values(), *single] if most is None else partition(cases, most)
    parts = [part for part in parts if part]
    cost = {case.id: expected_cost(case) for case in cases}
    named = [(next(names), part) for part in parts]
    named.sort(key=lambda each: -sum(cost[case.id] for case in each[1]))
    shared = _shared([part for part in parts if part[0].experiment.stop is None])
    dealt = chunks(shared, ceil(len(shared) / len(parts))) if shared else []
    first = [
        ArrayTask(f"first-{name}", tuple(case.id for own in lists for case in own), first=True)
        for (name, _), lists in zip(named, dealt, strict=False)
    ]
    own = (
        ArrayTask(name, tuple(case.id for case in part), cost=sum(cost[case.id] for case in part))
        for name, part in named
    )
    return (*first, *own)


def _shared(parts: Sequence[Sequence[PlannedCase]]) -> list[list[PlannedCase]]:
    """Cases that stand for all others in what several parts need, a list for each baseline."""
    baselines, measured = Counter[str | None](), Counter[str | None]()
    for part in parts:
        baselines.update({_baseline(case) for case in part} - {None})
        measured.update({measured_for(case.experiment) for case in part} - {None})
    stands: dict[str | None, dict[str | None, PlannedCase]] = {}
    for case in (case for part in parts for case in part):
        baseline, asked = _baseline(case), measured_for(case.experiment)
        if baselines[baseline] > 1 or measured[asked] > 1:
            stands.setdefault(baseline, {}).setdefault(asked, case)
    return [list(own.values()) for own in stands.values()]


def _baseline(case: PlannedCase) -> str | None:
    return None if case.case.baseline is None else case.case.baseline.id
