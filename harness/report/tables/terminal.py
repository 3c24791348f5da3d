"""The end of a terminal session: a table per experiment, one legend, then what needs attention."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from html import escape

from rich.console import Console, Group, RenderableType
from rich.text import Text

from harness.report.labels import by_series
from harness.report.report import RunReport
from harness.report.subject import subject
from harness.report.tables.case_columns import asked_columns, case_columns, constants_text
from harness.report.tables.columns import Column, as_table, fitted
from harness.report.tables.doses import dose_columns, potencies, reasons, windows
from harness.report.tables.help import help_columns, help_text
from harness.report.tables.predictors import predictors
from harness.report.tables.stopping import saved
from harness.report.tables.vector_norms import norms_text

#: Columns where the width is unknown: a pipe, a file.
WIDTH = 100
#: Rows of one experiment: more are not read on a terminal, and take seconds to lay out.
_MOST_ROWS = 200
_NUMBER = re.compile(r"\d+")


def table(
    report: RunReport, *, colour: bool = False, width: int | None = None, legend: bool = True
) -> str:
    """A report as text of at most `width` columns, ending in a newline.

    Args:
        report: What to show.
        colour: Add ANSI escape codes; pass whether the output is a terminal.
        width: Columns; those of the terminal, or of $COLUMNS, unless it is given.
        legend: Say what the columns mean, below all of them.
    """
    columns = terminal_width() if width is None else width
    parts, meanings = list[RenderableType](), dict[str, dict[str, list[str]]]()
    for name in report.experiments:
        shown, gone = fitted(case_columns(report, name), columns)
        doses, _ = fitted(dose_columns(report, name), columns)
        more, gone = _asked(report, name, gone, columns)
        helped, _ = fitted(help_columns(report, name), columns)
        parts.append(_experiment(report, name, [shown, *more], gone, doses, helped))
        for column in (*shown, *doses, *helped):
            meanings.setdefault(column.title, {}).setdefault(column.meaning, []).append(name)
    if legend and (told := legend_of(meanings)):
        parts += [Text(told, "dim"), Text("")]
    return rendered([*parts, *_attention(report)], colour=colour, width=columns)


def summary(report: RunReport) -> str:
    """The table without its legend; of a report without cases, what it is."""
    text = table(report, legend=False).rstrip("\n")
    return text or f"report of {report.run.id}: no cases, {len(report.invariants)} identities"


def table_html(report: RunReport) -> str:
    """The same for a notebook: a heading and tables for each experiment, all text escaped."""
    parts = []
    for name in report.experiments:
        cases = by_series(report.experiment(name))
        doses, helped = dose_columns(report, name), help_columns(report, name)
        notes = [constants_text(cases), norms_text(cases), reasons(report, name)]
        notes += [*saved(report, name), *predictors(report, name)]
        notes += [*windows(report, name), *potencies(report, name)]
        notes += [help_text(report, name)] if helped else []
        heading = f"<p><b>{escape(name)}</b> {escape(', '.join(subject(report, name)))}</p>"
        tables = (case_columns(report, name), doses, helped)
        parts += [heading, *map(_as_html, filter(None, tables)), _paragraph(filter(None, notes))]
    parts.append(_paragraph(text.plain for text in _attention(report)))
    return "\n".join(filter(None, parts)) or _paragraph([summary(report)])


def _as_html(columns: Sequence[Column]) -> str:
    import pandas as pd  # here: it takes half a second, and a terminal does not need it

    # Rows rather than a mapping: two columns may have one title.
    rows = zip(*(map(str, column.cells) for column in columns), strict=True)
    frame = pd.DataFrame(rows, columns=[column.title for column in columns])
    return frame.to_html(index=False, border=0)


def _paragraph(lines: Iterable[str]) -> str:
    text = "<br>".join(map(escape, lines))
    return f"<p>{text}</p>" if text else ""


def terminal_width() -> int:
    """Columns of the terminal, of $COLUMNS where that is set, and else 100."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


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
        force_jupyter=False,  # in a notebook rich would show the text below the cell, not write it
    )
    for part in parts:
        console.print(part)
    lines = (line.rstrip() for line in stream.getvalue().splitlines())
    return "\n".join(lines).strip("\n") + "\n"


def legend_of(meanings: dict[str, dict[str, list[str]]]) -> str:
    """What each column means, said once: by title and meaning the experiments that have it."""
    said = []
    for title, by_meaning in meanings.items():
        known = {meaning: names for meaning, names in by_meaning.items() if meaning}
        for meaning, names in known.items():
            place = f" in {', '.join(names)}" if len(known) > 1 else ""
            said.append(f"{title}{place}: {meaning}")
    return f"{'; '.join(said)}." if said else ""


def left_out(titles: Sequence[str]) -> str:
    """What is told of columns for which there was no room."""
    return f"not shown for want of room: {', '.join(titles)}" if titles else ""


def _asked(
    report: RunReport, name: str, gone: Sequence[str], width: int
) -> tuple[list[list[Column]], list[str]]:
    """Tables of what a spec asks for and the first had no room for, and the titles of the rest."""
    asked = report.experiment(name)[0].asked_metrics
    left = [title for title in gone if title in asked]
    tables = []
    while left:
        shown, narrower = fitted(asked_columns(report, name, left), width)
        if narrower == left:
            break
        tables.append(shown)
        left = narrower
    return tables, [title for title in gone if title not in asked or title in left]


def _experiment(
    report: RunReport,
    name: str,
    tables: Sequence[Sequence[Column]],
    gone: Sequence[str],
    doses: Sequence[Column],
    helped: Sequence[Column],
) -> Group:
    cases = by_series(report.experiment(name))
    styles = ["dim" if case.id in report.baselines else "" for case in cases[:_MOST_ROWS]]
    heading = Text.assemble((name, "bold"), f"  {', '.join(subject(report, name))}")
    notes = [constants_text(cases), norms_text(cases), left_out(gone)]
    if len(cases) > _MOST_ROWS:
        notes.insert(0, f"{_MOST_ROWS} of {len(cases):,} cases; cases.csv and the page have all")
    below: list[RenderableType] = [Text(note, "dim") for note in notes if note]
    below += [Text(line, "dim") for line in (*saved(report, name), *predictors(report, name))]
    below += [Text(""), as_table(doses)] if doses else []
    why = reasons(report, name)
    below += [Text(why, "dim")] if why else []
    below += [Text(line, "dim") for line in (*windows(report, name), *potencies(report, name))]
    if helped:
        below += [Text(""), as_table(helped), Text(help_text(report, name), "dim")]
    first, *more = (
        as_table([replace(column, cells=column.cells[:_MOST_ROWS]) for column in columns], styles)
        for columns in tables
    )
    beside = [part for table in more for part in (Text(""), table)]
    return Group(heading, first, *beside, *below, Text(""))


def _attention(report: RunReport) -> Iterator[Text]:
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
