"""`titrate report DIR`: a report's table on the terminal, its page written anew, or gates judged.

What another harness has written is shown and judged in the same way (`harness.report.foreign`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.files.project import project


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate report`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "report",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="a report; or results of lm-eval, of Inspect, or of human-eval",
    )
    which.add_argument("--latest", action="store_true", help="the newest one below reports/")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--html", action="store_true", help="write its index.html anew")
    what.add_argument(
        "--methods", action="store_true", help="a paragraph for a paper: what was computed and how"
    )
    what.add_argument("--json", action="store_true", help="for other programs: the report")
    parser.add_argument(
        "--gate", action="append", default=[], metavar="CLAIM", help="e.g. 'acc >= 0.5'"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the table or the paragraph, or write the page; status 1 if a gate does not hold."""
    from harness.report.foreign import is_foreign, report_of
    from harness.report.load import latest, load_report

    directory = latest(project(Path.cwd()).reports) if parsed.latest else parsed.report
    foreign = is_foreign(directory)
    if parsed.html and not foreign:
        from harness.report.write import write_page

        print(f"page: {write_page(directory)}")
        return 0
    report = report_of(directory)[0] if foreign else load_report(directory)
    if parsed.methods:
        from harness.report.methods import methods

        print(methods(report))
        return 0
    if parsed.json:
        print(report.model_dump_json(indent=2))
    else:
        from harness.report.tables.terminal import table

        print(table(report))
    return _judged(directory, parsed.gate) if parsed.gate else 0


def _judged(directory: Path, gates: list[str]) -> int:
    """Judge the gates by what is on record, a line for each."""
    from harness.claims.claims import Claims
    from harness.claims.gates import check_gates
    from harness.report.foreign import is_foreign, read
    from harness.report.recorded import recorded_results

    claims = Claims.read(gates)
    results = read(directory) if is_foreign(directory) else list(recorded_results(directory))
    claims.check([result for result in results if result.status == "complete"])
    asked = [(each.experiment, each.gates) for each in claims.asked(results)]
    verdicts = check_gates(asked, results, [], claims.saved.find)
    for verdict in verdicts:
        held = "holds" if verdict.holds else "does not hold"
        print(f"{verdict.gate} of {verdict.experiment} {held}: {verdict.detail}")
    return 0 if all(verdict.holds for verdict in verdicts) else 1
