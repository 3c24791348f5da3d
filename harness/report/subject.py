"""What the cases of an experiment are of: model, task, samples, and which part of the grid.

The same words in tables, figures and on the page.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.figures.labels import label, short_names, varying
from harness.report.report import CaseReport, RunReport


def subject(report: RunReport, experiment: str, *, versions: bool = False) -> list[str]:
    """Models, tasks (with their `versions`), samples and what was selected, a part each."""
    cases = report.experiment(experiment)
    sampling = cases[0].settings.get("sampling")
    draws = sampling.get("draws", 1) if isinstance(sampling, dict) else 1
    size = "n = " + ", ".join(dict.fromkeys(str(case.task.size) for case in cases))
    return [
        _named(dict.fromkeys(case.model for case in cases), "models"),
        _named(
            dict.fromkeys(
                f"{case.task.name} (version {case.task.version})" if versions else case.task.name
                for case in cases
            ),
            "tasks",
        ),
        size + (f" samples x {draws} draws" if draws != 1 else ""),
        *selection(report, experiment),
    ]


def selection(report: RunReport, experiment: str) -> Iterator[str]:
    """Of a part of the grid: the axes that have one value in it, and how much it is."""
    cases = report.experiment(experiment)
    own = [case for case in cases if case.id not in report.baselines]
    grid = own[0].grid if own else None
    if grid is not None and len(own) < grid:
        constant = _constant(cases)
        if constant:
            yield constant
        yield f"{len(own)} of {grid} cases"
    if report.run.shard is not None:
        yield f"shard {report.run.shard.index}/{report.run.shard.of}"


def _named(names: dict[str, None], kind: str) -> str:
    """The one, or two of them; of more their number, for which there is a column."""
    return ", ".join(names) if len(names) < 3 else f"{len(names)} {kind}"


def _constant(cases: tuple[CaseReport, ...]) -> str:
    """The axes with one value among the cases."""
    several = varying(cases)
    values = {axis: value for case in cases for axis, value in case.params.items()}
    names = short_names(list(values))
    return label(values, {axis: name for axis, name in names.items() if axis not in several})
