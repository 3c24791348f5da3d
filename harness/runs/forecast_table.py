"""What a run would do, as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from harness.errors import OptionError
from harness.models.size import Memory
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


def forecast_table(
    forecasts: Sequence[Forecast], *, width: int | None = None, speed: float | None = None
) -> str:
    """The forecasts of a run's models, and what cannot be known before it.

    Lines are of at most `width` columns, those of the terminal unless it is given. At a `speed`, in
    new tokens per second, they say how long it takes; raises `OptionError` for one that is none.
    """
    if speed is not None and not (speed > 0 and math.isfinite(speed)):
        raise OptionError("speed", f"{speed:g}: is no speed; give tokens per second, such as 2000")
    columns = terminal_width() if width is None else width
    return rendered(_parts(forecasts, columns, speed), colour=False, width=columns).rstrip("\n")


def _parts(
    forecasts: Sequence[Forecast], width: int, speed: float | None
) -> Iterator[RenderableType]:
    if not forecasts:
        yield Text("no case can run here; nothing was run.")
        return
    shown, gone = fitted(_columns(forecasts), width)
    yield as_table(shown)
    if gone:
        yield Text(left_out(gone))
    yield Text(legend_of({each.title: {each.meaning: []} for each in shown}))
    loads = sum(each.loads for each in forecasts)
    yield Text(f"{loads} model load{'' if loads == 1 else 's'}; nothing was run.")
    for each in forecasts:
        if each.memory is not None:
            yield Text(f"{each.model}: {_memory(each.memory, each.longest)}")
        if speed is not None:
            yield Text(f"{each.model}: {_duration(each, speed)}")
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


def _memory(memory: Memory, longest: int) -> str:
    cache = memory.per_token * longest
    return (
        f"{_bytes(memory.weights)} of weights ({memory.parameters:,} in {memory.dtype}), and "
        f"{_bytes(cache)} of cache for each sequence at once ({longest:,} tokens at most)"
    )


def _duration(each: Forecast, speed: float) -> str:
    at_most = f"{_hours(each.at_most / speed)} at {speed:,g} tokens/s if no answer ends early"
    if each.expected is None:
        return at_most
    return f"{at_most}, about {_hours(each.expected / speed)} if they are as long as stored ones"


def _bytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


def _hours(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 60 else f"{minutes / 60:,.1f} h"
