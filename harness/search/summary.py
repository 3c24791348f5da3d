"""What a search came to, in a few lines for a terminal."""

from __future__ import annotations

import json

from harness.report.page_link import page_line, shown
from harness.report.tables.case_columns import p_value
from harness.report.tables.terminal import table
from harness.search.artefacts import FOLDER
from harness.search.conclusion import Searched
from harness.search.final import BEST_SPEC
from harness.statistics.estimates import Versus


def summary(found: Searched, *, link: bool = False) -> str:
    """The trials, the best of them, what the test samples said of it, and its page (`link`ed)."""
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
    lines.append(f"again: titrate run {shown(directory / FOLDER / BEST_SPEC)}")
    lines.append(page_line(directory, link=link))
    return "\n".join(lines)


def _difference(versus: Versus) -> str:
    interval = (
        "no interval"
        if versus.ci_low is None or versus.ci_high is None
        else f"95 % [{versus.ci_low:+.3f}, {versus.ci_high:+.3f}]"
    )
    return (
        f"{versus.delta:+.3f}, {interval}, {versus.better} better, {versus.worse} worse, "
        f"p Holm {p_value(versus.deciding_p)}, p {p_value(versus.p)}"
    )


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
