"""The end of a terminal session: one table per experiment, then what needs attention."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.measure.metrics import Good
from harness.reporting.curves import shown_metrics
from harness.reporting.labels import by_series, varying, worded
from harness.reporting.report import Agreement, CaseReport, Report
from harness.reporting.rounding import ceiling, fixed, percent, significant
from harness.reporting.statistics import Metric, Versus
from harness.reporting.vector_norms import norms_text

WIDTH = 100
_NOTHING = "-"
_NUMBER = re.compile(r"\d+")
_LEGEND = (
    "+/-: samples that {changed}; p: paired by sample, {correction};\n"
    "mde: the smallest delta that this many samples show with a power of 80 %; agree: mean tokens\n"
    "before the first departure from the baseline, ± half its 95 % interval; same: samples all of\n"
    "whose completions equal it."
)
_HOLM = "Holm-corrected over the experiment"
_PLAIN = "not corrected for the cases' number"
_ROUTING_LEGEND = (
    "\nchanged: routing decisions that the mask changed; empty: the whole top-k was masked."
)


def table(report: Report, *, colour: bool = False, width: int = WIDTH) -> str:
    """A report as text of at most `width` columns, ending in a newline.

    Args:
        report: What to show.
        colour: Add ANSI escape codes; pass whether the output is a terminal.
        width: Columns; parameters wrap where they do not fit, numbers never do above 90.
    """
    parts = [_experiment(report, name) for name in report.experiments]
    return rendered([*parts, *_attention(report)], colour=colour, width=width)


def rendered(parts: Iterable[RenderableType], *, colour: bool, width: int) -> str:
    """Parts below each other as text, without blanks at the end of lines."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part)
    lines = (line.rstrip() for line in stream.getvalue().splitlines())
    return "\n".join(lines).strip("\n") + "\n"


def _experiment(report: Report, name: str) -> Group:
    cases = report.experiment(name)
    first = cases[0]
    axes = varying(cases, always=next((case.dose_axis for case in cases if case.dose_axis), None))
    rows = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for short in axes.values():
        rows.add_column(short, overflow="fold", min_width=min(len(short), 8))
    if not axes:
        rows.add_column("case")
    masked = any("routed" in case.counts for case in cases)
    # Beside the routing's columns there is no room for another metric; plots and page have it.
    metrics = shown_metrics(cases)[: 1 if masked else None]
    for title in (first.metric, "delta", "+/-", "p", "mde", "agree", "same", *metrics[1:]):
        rows.add_column(title, justify="right", no_wrap=True)
    for title in ("changed", "empty") if masked else ():
        rows.add_column(title, justify="right", no_wrap=True)
    for case in by_series(cases):
        baseline = case.id in report.baselines
        own = [
            worded(axis, case.params[axis]) if axis in case.params else _NOTHING for axis in axes
        ]
        own = own or [case.id.removeprefix(name) or name]
        if baseline:
            # Its place is the dose that it does not have; a grid without one is marked in front.
            free = own.index(_NOTHING) if _NOTHING in own else 0
            own[free] = "baseline" if own[free] == _NOTHING else f"{own[free]} (baseline)"
        others = [_bare(case, metric) for metric in metrics[1:]]
        routing = _routing(case) if masked else ()
        rows.add_row(*own, *_numbers(case), *others, *routing, style="dim" if baseline else "")
    sampling = first.settings.get("sampling")
    draws = sampling.get("draws", 1) if isinstance(sampling, dict) else 1
    size = f"n = {first.task.size}" + (f" samples x {draws} draws" if draws != 1 else "")
    heading = Text.assemble((name, "bold"), f"  {first.model}, {first.task.name}, {size}")
    compared = [versus for case in cases for versus in case.versus_baseline.values()]
    plain = any(versus.p_holm is None for versus in compared)
    legend = _LEGEND.format(
        changed=change_words(first.kind(first.metric).good), correction=_PLAIN if plain else _HOLM
    )
    legend += _ROUTING_LEGEND if masked else ""
    norms = norms_text(cases)
    legend += f"\n{norms}" if norms else ""
    return Group(heading, rows, Padding(Text(legend, "dim"), (0, 0, 1, 0)))


def _numbers(case: CaseReport) -> tuple[str | Text, ...]:
    """The cells of a case, right of its parameters."""
    metric = case.metrics.get(case.metric)
    versus = case.versus_baseline.get(case.metric)
    agreement = case.agreement
    return (
        interval(metric) if metric else Text(case.status, "red"),
        fixed(versus.delta, 2, signed=True) if versus else _NOTHING,
        changed(versus) if versus else _NOTHING,
        p_value(versus) if versus else _NOTHING,
        effect(versus) if versus else _NOTHING,
        _length(agreement) if agreement else _NOTHING,
        f"{percent(agreement.identical)}%" if agreement else _NOTHING,
    )


def _bare(case: CaseReport, name: str) -> str:
    """Another metric of a case, without its interval, for which there is no room."""
    metric = case.metrics.get(name)
    return _NOTHING if metric is None else fixed(metric.value, 2)


def _routing(case: CaseReport) -> tuple[str, ...]:
    """Shares of a masked case's routing decisions that were changed, and left without expert."""
    routed = case.counts.get("routed")
    if not routed:
        return (_NOTHING, _NOTHING)
    shares = [case.counts.get(name, 0) / routed for name in ("changed", "emptied")]
    return tuple(f"{percent(share)}%" for share in shares)


def interval(metric: Metric) -> str:
    """`0.83 [0.74, 0.89]`; the value alone where there is no interval."""
    # A rate has two decimals; a mean may be of any size, and 0.00 would say nothing.
    small = metric.method in {"t", "t_hall"} and abs(metric.value) < 0.1
    shown = significant if small else fixed
    if metric.ci_low is None or metric.ci_high is None:
        return shown(metric.value, 2)
    return f"{shown(metric.value, 2)} [{shown(metric.ci_low, 2)}, {shown(metric.ci_high, 2)}]"


def p_value(versus: Versus) -> str:
    """Holm's p as `0.034`, or `<0.001`, never a zero; the plain one where it was not corrected."""
    p = versus.deciding_p
    return "<0.001" if p < 0.001 else fixed(p, 3)


def changed(versus: Versus) -> str:
    """`2/15`: samples that got better, and worse; or that rose, and fell (`change_words`)."""
    return f"{versus.better}/{versus.worse}"


def change_words(good: Good) -> str:
    """What the two numbers of `changed` count, in words."""
    return {
        "higher": "got better and worse",
        "lower": "fell (better) and rose (worse)",
        "neither": "rose and fell",
    }[good]


def effect(versus: Versus) -> str:
    """The smallest delta that would have been found, rounded up: `0.05`."""
    if versus.minimal_effect is None:
        return _NOTHING
    return ceiling(versus.minimal_effect)


def _length(agreement: Agreement) -> str:
    """`21.7 ±0.8`; the mean alone where there is no interval."""
    if agreement.ci_low is None or agreement.ci_high is None:
        return fixed(agreement.tokens, 1)
    half = (agreement.ci_high - agreement.ci_low) / 2
    return f"{fixed(agreement.tokens, 1)} ±{fixed(half, 1)}"


def _attention(report: Report) -> Iterator[Text]:
    """Why cases have no numbers, then warnings; each once, with the cases it concerns.

    Of warnings that differ in their numbers only, the one with the largest stands for all.
    """
    errors: dict[tuple[str, str], list[str]] = {}
    warnings: dict[str, tuple[str, list[str]]] = {}
    for case in report.cases:
        if case.error is not None:
            errors.setdefault((case.status, case.error), []).append(case.id)
        for warning in case.warnings:
            kind = _NUMBER.sub("", warning)
            worst, ids = warnings.get(kind, (warning, []))
            warnings[kind] = (max(worst, warning, key=_first_number), [*ids, case.id])
    for (status, error), ids in errors.items():
        yield Text.assemble((f"{status}: ", "red"), f"{_cases(ids)}: {error}")
    for warning, ids in warnings.values():
        concerned = ids[0] if len(ids) == 1 else f"{len(ids)} cases, the worst"
        yield Text.assemble(("warning: ", "yellow"), f"{concerned}: {warning}")


def _first_number(text: str) -> int:
    found = _NUMBER.search(text)
    return int(found.group()) if found else 0


def _cases(ids: list[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{len(ids)} cases, first {ids[0]}"
