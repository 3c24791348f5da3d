"""Two runs side by side and their table: what makes them hard to compare, then every case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from harness.claims.saved import SavedRun
from harness.report.report import CaseReport
from harness.report.rounding import readable
from harness.report.tables.case_columns import MDE, change_words, changed, effect, p_columns
from harness.report.tables.columns import Column, as_table, fitted
from harness.report.tables.terminal import left_out, legend_of, rendered, terminal_width
from harness.statistics.estimates import Versus

_HOLM = "p of the difference, paired by sample, Holm-corrected over these cases"
_DELTA = "second less first, with its 95 % interval"


@dataclass(frozen=True)
class ComparedCase:
    """One case in both runs, over the samples that both have."""

    case: CaseReport
    """As the second run has it."""
    metric: str
    before: float
    after: float
    versus: Versus
    shared: int
    """Samples that were compared."""
    sizes: tuple[int, int]
    """Samples that the first and the second run have."""

    @property
    def whole(self) -> bool:
        """Whether both runs have the same samples."""
        return self.sizes == (self.shared, self.shared)


@dataclass(frozen=True)
class Comparison:
    """The second run compared with the first; it prints as its table."""

    before: SavedRun
    after: SavedRun
    rows: tuple[ComparedCase, ...]
    differences: tuple[str, ...]
    """How the runs were made differently, a line each."""
    left_out: Mapping[str, str]
    """Why a case of the second run has no row, by its id."""
    only_before: tuple[str, ...]
    """Cases that the second run does not have."""
    disjoint: tuple[str, ...] = ()
    """Of those left out, the cases that are in both runs and share no sample."""

    def __str__(self) -> str:
        """The table that `titrate compare` prints."""
        return comparison_table(self)


def comparison_table(
    comparison: Comparison, *, colour: bool = False, width: int | None = None
) -> str:
    """A comparison as text of at most `width` columns (the terminal's), ending in a newline."""
    columns = terminal_width() if width is None else width
    return rendered(_parts(comparison, columns), colour=colour, width=columns)


def _parts(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    yield Text.assemble((comparison.before.name, "bold"), " -> ", (comparison.after.name, "bold"))
    for difference in comparison.differences:
        yield Text.assemble(("differs: ", "yellow"), difference)
    families: dict[tuple[str, str], list[ComparedCase]] = {}
    for row in comparison.rows:
        families.setdefault((row.case.experiment, row.metric), []).append(row)
    meanings: dict[str, dict[str, list[str]]] = {}
    for (experiment, metric), rows in families.items():
        shown, gone = fitted(_columns(experiment, metric, rows), width)
        name = f"  {rows[0].case.task.name}, {samples_text(rows)}"
        yield Text.assemble((experiment, "bold"), name)
        yield as_table(shown)
        if gone:
            yield Text(left_out(gone), "dim")
        yield Text("")
        for column in shown:
            meanings.setdefault(column.title, {}).setdefault(column.meaning, []).append(experiment)
    if told := legend_of(meanings):
        yield Text(told, "dim")
    for case, reason in comparison.left_out.items():
        yield Text.assemble(("not compared: ", "yellow"), f"{case}: {reason}")
    if comparison.only_before:
        first, *others = comparison.only_before
        and_more = f" and {len(others)} more" if others else ""
        yield Text(f"only in {comparison.before.name}: {first}{and_more}")


def samples_text(rows: Sequence[ComparedCase]) -> str:
    """`n = 164`; of runs over different samples how many are shared, and how many each has."""
    if all(row.whole for row in rows):
        return f"n = {_span([row.shared for row in rows])}"
    then, now = (_span([row.sizes[side] for row in rows]) for side in (0, 1))
    shared = _span([row.shared for row in rows])
    return f"n = {shared} shared samples, of {then} in the first run and {now} in the second"


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _columns(experiment: str, metric: str, rows: Sequence[ComparedCase]) -> list[Column]:
    versus = [row.versus for row in rows]
    good = versus[0].good
    deltas = [readable(each.delta, signed=True) for each in versus]
    bounds = [
        ""
        if each.ci_low is None or each.ci_high is None
        else f" [{readable(each.ci_low, signed=True)}, {readable(each.ci_high, signed=True)}]"
        for each in versus
    ]
    cases = (row.case.id.removeprefix(experiment).strip("[]") or experiment for row in rows)
    anytime = any(each.anytime for each in versus)
    return [
        Column("case", tuple(cases), is_name=True),
        Column(metric, tuple(readable(row.before) for row in rows)),
        Column("->", tuple(readable(row.after) for row in rows)),
        Column(
            "delta",
            tuple(map(str.__add__, deltas, bounds)),
            _DELTA,
            shorter=tuple(deltas),
            shorter_rank=95,
        ),
        Column("+/-", tuple(map(changed, versus)), f"samples that {change_words(good)}", 80),
        *p_columns(versus, _HOLM, rank=85),
        *([] if anytime else [Column("mde", tuple(map(effect, versus)), MDE, 30)]),
    ]
