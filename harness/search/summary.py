"""What a search came to, in a few lines for a terminal."""

from __future__ import annotations

import json
import os
from pathlib import Path

from harness.reporting import table
from harness.reporting.statistics import Versus
from harness.search.artefacts import FOLDER
from harness.search.conclusion import Searched
from harness.search.final import BEST_SPEC


def summary(found: Searched) -> str:
    """The trials, the best of them, and what the test samples said of it."""
    counts = found.trials
    total = sum(counts.values())
    said = f"{counts['complete']} complete, {counts['pruned']} pruned, {counts['fail']} failed"
    values = ", ".join(f"{field} {_value(value)}" for field, value in found.configuration.items())
    best = f"trial {found.best.number}, {found.metric} {found.best.value:.4g}"
    lines = [
        f"search {found.name}: {total} trials: {said}",
        f"best: {best} on {found.samples} validation samples: {values}",
    ]
    lines += [f"warning: {warning}" for warning in found.warnings]
    if found.finished is None:
        lines.append("another worker tells the last trial, scores the test samples and reports")
        return "\n".join(lines)
    lines += ["", table(found.finished.report), ""]
    lines += [
        f"test: {found.metric} minus {each.name}: {_difference(each.versus)}"
        for each in found.comparisons
    ]
    lines += [*found.problems, *found.finished.verdicts]
    directory = found.finished.directory
    lines.append(f"report: {_shown(directory)}; again: titrate run {_best(directory)}")
    return "\n".join(lines)


def _difference(versus: Versus) -> str:
    interval = (
        "no interval"
        if versus.ci_low is None or versus.ci_high is None
        else f"95 % [{versus.ci_low:+.3f}, {versus.ci_high:+.3f}]"
    )
    return (
        f"{versus.delta:+.3f}, {interval}, {versus.better} better, {versus.worse} worse, "
        f"p {versus.p:.2g}"
    )


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def _best(directory: Path) -> str:
    return _shown(directory / FOLDER / BEST_SPEC)


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)
