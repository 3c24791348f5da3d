"""What a table says of each case of an experiment, and how its numbers are written.

Which column goes first where there is no room: what was counted while an intervention acted (other
metrics beside it before it), then `mde`, other metrics of the task, agreement, the uncorrected p,
the metrics that a spec asks for, which then have a table of their own. The last to go is the
metric's interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rich.text import Text

from harness.interventions.counted import shares_in
from harness.report.figures.curves import constants, shown_metrics, told_constants
from harness.report.labels import by_series, varying, worded
from harness.report.report import Agreement, CaseReport, RunReport
from harness.report.rounding import ceiling, fixed, percent, readable, significant
from harness.report.tables.columns import Column
from harness.spec.metric import Good
from harness.statistics.estimates import Metric, Versus

NOTHING = "-"
_HOLM = "p of the difference, paired by sample, Holm-corrected over the experiment"
_ANYTIME = "p of the difference that holds whenever a run stops, Holm-corrected over the experiment"
_RAW = "the same, not corrected"
_PLAIN = "p of the difference, paired by sample, not corrected for the cases' number"
_VERDICT = (
    "whether it differs from the baseline; ended early: not likely to be decided, which says "
    "nothing of an effect"
)
MDE = "the smallest delta that this many samples show with a power of 80 %"
_AGREE = "mean tokens before the first departure from the baseline, all where none departed"
_AGREE_WITH_BOUNDS = _AGREE.replace(",", " (±: half its 95 % interval),", 1)
_SAME = "samples all of whose completions equal the baseline's"


def case_columns(report: RunReport, experiment: str) -> list[Column]:
    """The table of an experiment: a row for each case, those of a curve below each other."""
    cases = by_series(report.experiment(experiment))
    compared = any(case.metric in case.versus_baseline for case in cases)
    columns = [*_names(report, experiment, cases), *_ended(cases)]
    columns.append(_metric(cases, cases[0].metric))
    if compared and cases[0].metric not in constants(cases):
        columns += _compared(cases)
    columns += _agreed(cases)
    shares = shares_in([case.counts for case in cases])
    for metric in shown_metrics(cases)[1:]:
        cells = tuple(_alone(case, metric) for case in cases)
        asked = metric in cases[0].asked_metrics
        columns.append(Column(metric, cells, rank=75 if asked else 5 if shares else 40))
    for place, share in enumerate(shares):
        cells = tuple(_share(share.of(case.counts)) for case in cases)
        columns.append(Column(share.title, cells, share.meaning, max(20 - 10 * place, 6)))
    return columns


def asked_columns(report: RunReport, experiment: str, metrics: Sequence[str]) -> list[Column]:
    """A table of metrics that the first had no room for, in the same rows, with their intervals."""
    cases = by_series(report.experiment(experiment))
    columns = _names(report, experiment, cases)
    return [*columns, *(replace(_metric(cases, name), rank=90) for name in metrics)]


def constants_text(cases: Sequence[CaseReport]) -> str:
    """What is told once of metrics that are constant; empty where none is."""
    told = [
        f"{name} {_value(next(case.metrics[name] for case in cases if name in case.metrics))}"
        for name in told_constants(cases)
    ]
    return f"the same in every case, sample by sample: {', '.join(told)}" if told else ""


def p_columns(compared: Sequence[Versus | None], holm: str, *, rank: int) -> list[Column]:
    """The p that decides, Holm's, and the uncorrected one beside it; alone in older reports."""
    raw = tuple(NOTHING if each is None else p_value(each.p) for each in compared)
    if not any(each is not None and each.p_holm is not None for each in compared):
        return [Column("p", raw, _PLAIN, rank)]
    corrected = tuple(
        NOTHING if each is None or each.p_holm is None else p_value(each.p_holm)
        for each in compared
    )
    if any(each is not None and each.anytime for each in compared):
        return [
            Column("anytime p Holm", corrected, _ANYTIME, rank),
            Column("anytime p", raw, _RAW, rank - 15),
        ]
    return [Column("p Holm", corrected, holm, rank), Column("p", raw, _RAW, rank - 15)]


def interval(metric: Metric) -> str:
    """`0.83 [0.74, 0.89]`; the value alone where there is no interval."""
    shown = _digits(metric)
    if metric.ci_low is None or metric.ci_high is None:
        return shown(metric.value)
    return f"{shown(metric.value)} [{shown(metric.ci_low)}, {shown(metric.ci_high)}]"


def p_value(p: float) -> str:
    """`0.034`, or `<0.001`, never a zero."""
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
    """The smallest delta that would have been found, rounded up: `0.05`; `none` where samples are
    so few that not even the largest one would, `-` where it is not known.
    """
    if versus.minimal_effect is not None:
        return ceiling(versus.minimal_effect)
    # Numbers of which none changed have no spread to go by.
    few = versus.test == "mcnemar_exact" or (versus.test == "sign_flip" and versus.changed)
    return "none" if few else NOTHING


def agreement_text(agreement: Agreement, *, bounds: bool = True) -> str:
    """`21.7 ±0.8`; the mean alone where there is no interval, `all` where nothing departed."""
    if agreement.identical == 1:
        return "all"
    mean = fixed(agreement.tokens, 1)
    if not bounds or agreement.ci_low is None or agreement.ci_high is None:
        return mean
    return f"{mean} ±{fixed((agreement.ci_high - agreement.ci_low) / 2, 1)}"


def _names(report: RunReport, experiment: str, cases: Sequence[CaseReport]) -> Iterator[Column]:
    """What tells the cases apart."""
    dose = next((case.dose_axis for case in cases if case.dose_axis), None)
    axes = varying(cases, always=dose)
    rows = []
    for case in cases:
        own = [worded(axis, case.params[axis]) if axis in case.params else NOTHING for axis in axes]
        own = own or [case.id.removeprefix(experiment) or experiment]
        if case.id in report.baselines:
            # Its place is the dose that it does not have; a grid without one is marked in front.
            free = own.index(NOTHING) if NOTHING in own else 0
            own[free] = "baseline" if own[free] == NOTHING else f"{own[free]} (baseline)"
        rows.append(own)
    for title, cells in zip([*axes.values()] or ["case"], zip(*rows, strict=True), strict=True):
        yield Column(title, cells, is_name=True)


def _metric(cases: Sequence[CaseReport], name: str) -> Column:
    """A metric with its interval; a case without one says what became of it."""
    found = [case.metrics.get(name) for case in cases]
    states = [Text(case.status, "red") for case in cases]
    full, bare = (
        tuple(
            state if m is None else write(m) + _of(case, m)
            for case, m, state in zip(cases, found, states, strict=True)
        )
        for write in (interval, _value)
    )
    return Column(name, full, shorter=bare, shorter_rank=95)


def _compared(cases: Sequence[CaseReport]) -> Iterator[Column]:
    """What a case is beside its baseline."""
    versus = [case.versus_baseline.get(case.metric) for case in cases]

    def cells(write: Callable[[Versus], str]) -> tuple[str, ...]:
        return tuple(NOTHING if each is None else write(each) for each in versus)

    deltas = [
        NOTHING if each is None else _signed(case.metrics.get(case.metric), each.delta)
        for case, each in zip(cases, versus, strict=True)
    ]
    good = cases[0].kind(cases[0].metric).good
    yield Column("delta", tuple(deltas), rank=90)
    yield Column("+/-", cells(changed), f"samples that {change_words(good)}", 80)
    yield from p_columns(versus, _HOLM, rank=85)
    if not any(each is not None and each.anytime for each in versus):
        yield Column("mde", cells(effect), MDE, 30)


def _ended(cases: Sequence[CaseReport]) -> Iterator[Column]:
    """Of a run that stopped itself: how many samples a case was asked, and what came of it."""
    ended = [case.stopped for case in cases]
    if any(ended):
        asked = (
            f"{case.task.size}/{case.stopped.of}" if case.stopped else NOTHING for case in cases
        )
        yield Column("asked", tuple(asked), "samples, of all that there are", 92)
        told = (NOTHING if each is None else each.verdict for each in ended)
        yield Column("verdict", tuple(told), _VERDICT, 94)


def _agreed(cases: Sequence[CaseReport]) -> Iterator[Column]:
    """How far completions follow those of the baseline, where they were compared."""
    agreed = [case.agreement for case in cases]
    if any(agreed):
        full, bare = (
            tuple(NOTHING if each is None else agreement_text(each, bounds=b) for each in agreed)
            for b in (True, False)
        )
        meaning = _AGREE if full == bare else _AGREE_WITH_BOUNDS
        yield Column("agree", full, meaning, 60, shorter=bare, shorter_meaning=_AGREE)
        same = (NOTHING if each is None else f"{percent(each.identical)}%" for each in agreed)
        yield Column("same", tuple(same), _SAME, 50)


def _digits(metric: Metric) -> Callable[[float], str]:
    # A rate has two decimals; a mean may be of any size, and 0.00 would say nothing.
    small = metric.method in {"t", "t_hall"} and abs(metric.value) < 0.1
    return (lambda value: significant(value, 2)) if small else readable


def _value(metric: Metric) -> str:
    return _digits(metric)(metric.value)


def _signed(metric: Metric | None, delta: float) -> str:
    """A difference with the digits of what it is a difference of; a large one with two decimals."""
    shown = readable(delta) if metric is None or abs(delta) >= 0.1 else _digits(metric)(delta)
    return shown if shown.startswith("-") else f"+{shown}"


def _alone(case: CaseReport, name: str) -> str:
    """Another metric of a case, without its interval, for which there is no room."""
    metric = case.metrics.get(name)
    return NOTHING if metric is None else _value(metric) + _of(case, metric)


def _of(case: CaseReport, metric: Metric) -> str:
    """How many samples have a value, where some have failed."""
    return "" if metric.n == case.task.size else f" (n {metric.n})"


def _share(share: float | None) -> str:
    return NOTHING if share is None else f"{percent(share)}%"
