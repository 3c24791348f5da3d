"""What a verdict takes: samples and tokens at a power of 80 %, all at once and with stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from harness.report.tables.columns import Column, as_table, fitted
from harness.report.tables.terminal import legend_of, rendered, terminal_width
from harness.runs.forecast import Forecast
from harness.runs.planned_case import PlannedCase
from harness.statistics.power import ALPHA, samples_needed
from harness.statistics.sequential import stopping_needed


@dataclass(frozen=True)
class Needed:
    """Samples of a verdict, if so many of them change.

    `fixed` are asked all at once; with stopping `mean` on average, and `most` at most.
    """

    changes: float
    fixed: int
    mean: int
    most: int


def needed(effect: float, changes: Sequence[float], alpha: float) -> list[Needed]:
    """What it takes to find a difference of two rates, for each share of samples that change."""
    return [
        Needed(share, samples_needed(effect, share, alpha), *stopping_needed(effect, share, alpha))
        for share in changes
    ]


def shares(effect: float) -> list[float]:
    """Shares of samples that change of which an effect is thought: as few as can be, and more."""
    return [share for share in (effect, 2 * effect, 4 * effect) if share <= 1]


def needed_table(
    name: str,
    cases: Sequence[PlannedCase],
    forecasts: Sequence[Forecast],
    effect: float,
    changes: Sequence[float],
) -> str:
    """The table of an experiment, and what its numbers are of: that every dose differs."""
    compared = [case for case in cases if case.baseline is not None] or list(cases)
    stop = cases[0].experiment.stop
    alpha = ALPHA if stop is None else stop.alpha
    size, draws = cases[0].task.size, cases[0].experiment.sampling.draws
    per_draw = _tokens(forecasts, cases[0])
    found = needed(effect, changes, alpha / len(compared))

    def samples(count: int) -> str:
        return f"{count:,}" + ("" if count <= size else " !")

    def tokens(count: int) -> str:
        return f"{round(2 * count * draws * per_draw):,}"

    columns = [
        Column("changes", tuple(f"{each.changes:g}" for each in found), _CHANGES, is_name=True),
        Column("all at once", tuple(samples(each.fixed) for each in found), _FIXED),
        Column("tokens", tuple(tokens(each.fixed) for each in found), _TOKENS),
        Column("stopping", tuple(samples(each.mean) for each in found), "samples on average"),
        Column("at most", tuple(samples(each.most) for each in found), "samples"),
        Column("its tokens", tuple(tokens(each.mean) for each in found), "on average"),
    ]
    width = terminal_width()
    shown, _ = fitted(columns, width)
    told = (
        f"{name}: a difference of {effect:g} of {compared[0].metric} with a power of 80 %, at "
        f"{alpha:g} corrected by Holm's method for {len(compared)} doses, at its strictest"
    )
    legend = legend_of({column.title: {column.meaning: []} for column in shown})
    parts: list[RenderableType] = [Text(told), as_table(shown), Text(legend)]
    if any(each.fixed > size or each.most > size for each in found):
        parts.append(Text(f"!: there are {size:,} samples"))
    return rendered(parts, colour=False, width=width).rstrip("\n")


_CHANGES = "share of samples whose value changes at all: the fewer, the clearer the same difference"
_FIXED = "samples, by exact McNemar's test"
_TOKENS = "of a dose and its baseline, which all doses share"


def _tokens(forecasts: Sequence[Forecast], case: PlannedCase) -> float:
    """Tokens of a completion: as long as the stored ones are, or as long as they may be."""
    for each in forecasts:
        if each.expected and each.at_most:
            return case.experiment.sampling.max_new_tokens * each.expected / each.at_most
    return case.experiment.sampling.max_new_tokens
