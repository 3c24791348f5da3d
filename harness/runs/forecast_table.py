"""What a run would do, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from harness.report.tables.columns import STAYS, Column, as_table, fitted
from harness.report.tables.terminal import left_out, legend_of, rendered, terminal_width
from harness.runs.forecast import Forecast

#: What is counted of a model: title, meaning, and rank where there is little room.
_COUNTS = (
    ("cases", "", STAYS),
    ("requests", "the different ones, baselines included", STAYS),
    ("doubles", "what cases ask beyond them, made once", 10),
    ("stored", "", STAYS),
    ("to make", "", STAYS),
    ("prompt tokens", "", 20),
    ("at most", "new tokens if no answer ends early", STAYS),
    ("about", "if they are as long as stored ones", 30),
)


def forecast_table(forecasts: Sequence[Forecast], *, width: int | None = None) -> str:
    """The forecasts of a run's models, and what cannot be known before it.

    Lines are of at most `width` columns, those of the terminal unless it is given.
    """
    columns = terminal_width() if width is None else width
    return rendered(_parts(forecasts, columns), colour=False, width=columns).rstrip("\n")


def _parts(forecasts: Sequence[Forecast], width: int) -> Iterator[RenderableType]:
    shown, gone = fitted(_columns(forecasts), width)
    yield as_table(shown)
    if gone:
        yield Text(left_out(gone))
    yield Text(legend_of({each.title: {each.meaning: []} for each in shown}))
    loads = sum(each.loads for each in forecasts)
    yield Text(f"{loads} model load{'' if loads == 1 else 's'}; nothing was run.")
    for each in forecasts:
        if each.readings:
            yield Text(f"{each.model}: {each.readings:,} given texts are read, but for those kept")
        if each.dependent:
            yield Text(
                f"{each.model}: up to {each.dependent:,} completions are read once more; until "
                "they are made it is not known what of that is stored"
            )
        for measured in each.unmeasured:
            yield Text(
                f"{each.model}: {measured}: measured first; until then it is not known whether "
                f"{each.unknown:,} requests are stored"
            )
        for warning in each.warnings:
            yield Text(f"{each.model}: {warning}")
        for problem in each.impossible:
            yield Text(problem)


def _columns(forecasts: Sequence[Forecast]) -> list[Column]:
    counted = [
        (
            each.cases,
            each.requests,
            each.asked - each.requests,
            each.stored,
            each.requests - each.stored,
            each.prompt_tokens,
            each.at_most,
            each.expected,
        )
        for each in forecasts
    ]
    return [
        Column("model", tuple(each.model for each in forecasts), is_name=True),
        *(
            Column(title, tuple(map(_number, cells)), meaning, rank)
            for (title, meaning, rank), cells in zip(
                _COUNTS, zip(*counted, strict=True), strict=True
            )
        ),
    ]


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
