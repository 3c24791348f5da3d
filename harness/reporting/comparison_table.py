"""Two runs side by side in the terminal: first what makes them hard to compare, then every case."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.reporting.compare import Comparison, Row
from harness.reporting.rounding import fixed
from harness.reporting.terminal import WIDTH, change_words, changed, effect, p_value, rendered

_LEGEND = (
    "delta: second less first, with its 95 % interval; +/-: samples that {changed};\n"
    "p: paired by sample, Holm-corrected over these cases; mde: the smallest delta that this many\n"
    "samples show with a power of 80 %."
)


def comparison_table(comparison: Comparison, *, colour: bool = False, width: int = WIDTH) -> str:
    """A comparison as text of at most `width` columns, ending in a newline."""
    return rendered(_parts(comparison), colour=colour, width=width)


def _parts(comparison: Comparison) -> Iterator[Group | Text]:
    yield Text.assemble((comparison.before.name, "bold"), " -> ", (comparison.after.name, "bold"))
    for difference in comparison.differences:
        yield Text.assemble(("differs: ", "yellow"), difference)
    families: dict[tuple[str, str], list[Row]] = {}
    for row in comparison.rows:
        families.setdefault((row.case.experiment, row.metric), []).append(row)
    for (experiment, metric), rows in families.items():
        yield _family(experiment, metric, rows)
    for case, reason in comparison.left_out.items():
        yield Text.assemble(("not compared: ", "yellow"), f"{case}: {reason}")
    if comparison.only_before:
        first, *others = comparison.only_before
        and_more = f" and {len(others)} more" if others else ""
        yield Text(f"only in {comparison.before.name}: {first}{and_more}")


def _family(experiment: str, metric: str, rows: list[Row]) -> Group:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("case", overflow="fold")
    for title in (metric, "->", "delta", "+/-", "p", "mde"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        versus = row.versus
        bounds = ""
        if versus.ci_low is not None and versus.ci_high is not None:
            low, high = (fixed(end, 2, signed=True) for end in (versus.ci_low, versus.ci_high))
            bounds = f" [{low}, {high}]"
        table.add_row(
            row.case.id.removeprefix(experiment).strip("[]") or experiment,
            fixed(row.before, 2),
            fixed(row.after, 2),
            f"{fixed(versus.delta, 2, signed=True)}{bounds}",
            changed(versus),
            p_value(versus),
            effect(versus),
        )
    size = rows[0].case.task.size
    heading = Text.assemble((experiment, "bold"), f"  {rows[0].case.task.name}, n = {size}")
    legend = _LEGEND.format(changed=change_words(rows[0].versus.good))
    return Group(heading, table, Padding(Text(legend, "dim"), (0, 0, 1, 0)))
