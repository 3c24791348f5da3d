"""The last lines of a run, under pytest and without it: the same ones, in the same order.

Failed gates come first (pytest's section of failures), then the table, what holds, what it took and
where it is (`summary`), then a line for each failure (pytest's short summary), and counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.report.load import sample_records
from harness.report.page_link import page_line, shown
from harness.report.run_info import Cost
from harness.report.tables.authors import answers_by_author
from harness.report.tables.terminal import rendered, table, terminal_width
from harness.runs.conclude import Finished, problem


def summary(
    finished: Finished, *, link: bool, verbose: bool = False, shown: str | None = None
) -> Iterator[str]:
    """What a run has to say of itself: its table, what holds, and its closing lines.

    Args:
        finished: The run.
        link: Whether the page's path may be a hyperlink (`has_links`), and text coloured.
        verbose: Whether answers are told that an oracle has helped with.
        shown: Its table, where that was made before.
    """
    if verbose:
        answers = answers_by_author(sample_records(finished.directory), colour=link)
        yield from (rendered([each], colour=link, width=terminal_width()) for each in answers)
    if finished.report.cases:
        yield table(finished.report) if shown is None else shown
    if finished.compared:
        yield finished.compared
    yield from finished.lost
    yield from finished.violations
    yield from finished.verdicts
    yield from closing(finished, link=link)


def told(
    finished: Finished,
    *,
    link: bool = False,
    ran: bool,
    deselected: int = 0,
    verbose: bool = False,
    shown: str | None = None,
) -> Iterator[str]:
    """Everything that is printed of a run that has ended, line by line as pytest does.

    Args:
        finished: The run.
        link: Whether the page's path may be a hyperlink (`has_links`).
        ran: Whether it ran just now: then the last line is how it ended.
        deselected: How many cases were left out by choice.
        verbose: As of `summary`.
        shown: As of `summary`.
    """
    yield from map(problem, finished.failed_gates)
    yield from summary(finished, link=link, verbose=verbose, shown=shown)
    yield from (f"skipped: {case}" for case in finished.skipped)
    yield from nothing_ran(finished)
    yield from failures(finished)
    if ran:
        yield outcomes(finished, deselected)


def closing(finished: Finished, *, link: bool) -> Iterator[str]:
    """What a run took, where it was saved, and its page.

    Args:
        finished: The run.
        link: Whether the page's path may be a hyperlink (`has_links`).
    """
    report = finished.report
    if report.run.cost is not None:
        yield _took(report.run.cost, finished.loads, generates=bool(report.cases))
    if finished.kept is not None:
        yield f"saved: {shown(finished.kept)}"
    yield page_line(finished.directory, link=link)


def failures(finished: Finished) -> Iterator[str]:
    """`FAILED case - why`, of cases and then of gates: what pytest's short summary says of them."""
    for case in finished.report.cases:
        if case.error is not None and case.id not in finished.report.baselines:
            yield f"FAILED {case.id} - {case.error}"
    for gate in finished.failed_gates:
        yield f"FAILED {gate.experiment}::gate {gate.gate} - {gate.detail}"


def nothing_ran(finished: Finished) -> Iterator[str]:
    """One line where every case was skipped, which is no failure and no result either."""
    count = len(finished.skipped)
    if not count or finished.report.cases:
        return
    # A line about a case is its id, which holds no space, and the reason.
    reason, *others = dict.fromkeys(case.partition(" ")[2] for case in finished.skipped)
    more = f"; and {len(others)} more reasons" if others else ""
    told = f"{count:,} cases were skipped" if count > 1 else "the case was skipped"
    yield f"nothing ran: {told} ({reason}{more})"


def outcomes(finished: Finished, deselected: int = 0) -> str:
    """`13 passed, 1 failed, 2 skipped in 78.56 s`: cases as pytest counts its tests."""
    report = finished.report
    cases = [case for case in report.cases if case.id not in report.baselines]
    failed = sum(case.status != "complete" for case in cases) + len(finished.failed_gates)
    counted = (
        (failed, "failed"),
        (sum(case.status == "complete" for case in cases), "passed"),
        (len(finished.skipped), "skipped"),
        (deselected, "deselected"),
    )
    told = ", ".join(f"{count} {name}" for count, name in counted if count) or "no cases"
    cost = report.run.cost
    return told if cost is None else f"{told} in {cost.wall_seconds:.2f}s"


def _took(cost: Cost, loads: Mapping[str, int], *, generates: bool) -> str:
    told = f"{cost.model_loads} model load{'s' if cost.model_loads != 1 else ''}"
    if loads:
        told += f" ({', '.join(f'{name}: {count}' for name, count in loads.items())})"
    if not cost.requests and not generates:  # identities alone
        return told
    stored = f" ({cost.stored:,} stored)" if cost.stored else ""
    speed = cost.tokens_per_second
    speed_told = "" if speed is None else f" ({speed:,.0f} tokens/s)"
    return (
        f"{told}; {cost.requests:,} requests{stored}, {cost.tokens:,} tokens "
        f"in {cost.engine_seconds:.1f} s{speed_told}"
    )
