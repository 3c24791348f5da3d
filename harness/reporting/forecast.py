"""What a run would do, as a table."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.runs.forecast import Forecast

_TITLES = ("cases", "requests", "doubles", "stored", "to make", "prompt tokens", "at most", "about")
_LEGEND = (
    "requests: the different ones, baselines included; doubles: what cases ask beyond them, made\n"
    "once; at most: new tokens if no answer ends early; about: if they are as long as stored ones."
)


def forecast_table(forecasts: Sequence[Forecast]) -> str:
    """The forecasts of a run's models, and what cannot be known before it."""
    rows = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    rows.add_column("model", overflow="fold", min_width=8)
    for title in _TITLES:
        rows.add_column(title, justify="right", no_wrap=True)
    for each in forecasts:
        numbers = (
            each.cases,
            each.requests,
            each.asked - each.requests,
            each.stored,
            each.requests - each.stored,
            each.prompt_tokens,
            each.at_most,
            each.expected,
        )
        shown = ("-" if number is None else f"{number:,}" for number in numbers)
        rows.add_row(each.model, *shown)
    stream = io.StringIO()
    console = Console(file=stream, width=100, highlight=False, emoji=False, markup=False)
    console.print(rows)
    console.print(_LEGEND)
    loads = sum(each.loads for each in forecasts)
    console.print(f"{loads} model load{'' if loads == 1 else 's'}; nothing was run.")
    for each in forecasts:
        for measured in each.unmeasured:
            console.print(
                f"{each.model}: {measured}: measured first; until then it is not known whether "
                f"{each.unknown:,} requests are stored"
            )
        for warning in each.warnings:
            console.print(f"{each.model}: {warning}")
        for problem in each.impossible:
            console.print(problem)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
