"""`titrate compare A B`: two runs case by case, paired by sample."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate compare`."""
    what = "a saved run's name or number, its file, or a report's directory"
    parser.add_argument("before", metavar="A", help=f"the run to compare with: {what}")
    parser.add_argument("after", metavar="B", help=f"the run that is judged: {what}")
    parser.add_argument("--metric", help="default: each case's primary metric")
    parser.add_argument("--case", action="append", default=[], metavar="ID", dest="cases")
    parser.add_argument(
        "--fail", action="append", default=[], metavar="RULE", help="e.g. 'pass@1: worse, p<0.05'"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the comparison; status 1 if a rule came true, or nothing could be compared."""
    from harness.claims.claims import read_rules
    from harness.claims.compare import compare
    from harness.claims.comparison_table import comparison_table
    from harness.claims.no_change import check_directions, check_rules
    from harness.claims.saved import SAVED, SavedRuns

    rules = list(read_rules(parsed.fail, "fail"))
    saved = SavedRuns(Path.cwd() / SAVED)
    before, after = saved.find(parsed.before), saved.find(parsed.after)
    check_directions(rules, after, "fail")
    comparison = compare(before, after, metric=parsed.metric, cases=parsed.cases)
    print(comparison_table(comparison), end="")
    failed = [
        verdict for verdict in check_rules(rules, before, after, parsed.cases) if not verdict.holds
    ]
    for verdict in failed:
        print(f"{verdict.gate} of {verdict.experiment} failed: {verdict.detail}")
    return 1 if failed or comparison.disjoint or not comparison.rows else 0
