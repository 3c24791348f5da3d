"""`titrate compare A B`: two runs case by case, paired by sample."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.claims.comparison import Comparison


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate compare`."""
    what = "a saved run's name or number, its file, or a report's directory"
    parser.add_argument("before", metavar="A", help=f"the run to compare with: {what}")
    parser.add_argument("after", metavar="B", help=f"the run that is judged: {what}")
    parser.add_argument("--metric", help="default: each case's primary metric")
    parser.add_argument(
        "--case",
        action="append",
        default=[],
        metavar="ID",
        dest="cases",
        help="only this case; may be repeated",
    )
    parser.add_argument(
        "--fail",
        action="append",
        default=[],
        metavar="RULE",
        help="e.g. 'pass@1: worse, p<0.05': status 1 where it came true",
    )
    parser.add_argument("--json", action="store_true", help="for other programs")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the comparison; status 1 if a rule came true, or nothing could be compared."""
    from harness.claims.claims import read_rules
    from harness.claims.compare import compare
    from harness.claims.comparison import comparison_table
    from harness.claims.no_change import check_directions, check_rules
    from harness.claims.saved import SAVED, SavedRuns

    rules = list(read_rules(parsed.fail, "fail"))
    saved = SavedRuns(Path.cwd() / SAVED)
    before, after = saved.find(parsed.before), saved.find(parsed.after)
    check_directions(rules, after, "fail")
    comparison = compare(before, after, metric=parsed.metric, cases=parsed.cases)
    failed = [
        verdict for verdict in check_rules(rules, before, after, parsed.cases) if not verdict.holds
    ]
    told = [f"{each.gate} of {each.experiment} failed: {each.detail}" for each in failed]
    if parsed.json:
        print(json.dumps(_plain(comparison, told), indent=2, ensure_ascii=False))
    else:
        print(comparison_table(comparison), end="")
        for line in told:
            print(line)
    return 1 if failed or comparison.disjoint or not comparison.rows else 0


def _plain(comparison: Comparison, failed: Sequence[str]) -> dict[str, Any]:
    """A comparison as JSON has it."""
    return {
        "before": comparison.before.name,
        "after": comparison.after.name,
        "differences": list(comparison.differences),
        "left_out": dict(comparison.left_out),
        "only_before": list(comparison.only_before),
        "failed": list(failed),
        "cases": [
            {
                "case": row.case.id,
                "metric": row.metric,
                "before": row.before,
                "after": row.after,
                "shared": row.shared,
                "sizes": list(row.sizes),
                "versus": row.versus.model_dump(mode="json"),
            }
            for row in comparison.rows
        ],
    }
