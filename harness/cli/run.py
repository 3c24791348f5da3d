"""`titrate run SPEC...`: run spec files without pytest, and write one report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.options import add_to_argparse, overrides


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate run`."""
    parser.add_argument(
        "specs",
        nargs="+",
        type=Path,
        metavar="SPEC",
        help="a YAML file; its fields: titrate schema experiment",
    )
    add_to_argparse(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "-q", "--quiet", action="store_true", help="no progress, and no table: failures alone"
    )
    how.add_argument("--json", action="store_true", help="for other programs: the report")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Run the cases that are selected, or say what would be run."""
    # A mistake is told at once: what follows imports torch, for seconds.
    from harness.launch.selection import selected

    selection = selected(parsed.specs, overrides(vars(parsed)), parsed.select)
    from harness.claims.claims import Claims
    from harness.cli.finished import status_of, told
    from harness.launch.closing import nothing_ran
    from harness.launch.live import LiveLine
    from harness.launch.local import forecast_cases, run_cases
    from harness.resolve.progress import Progress, Silent
    from harness.runs.forecast_table import forecast_table
    from harness.runs.requirements import unmet
    from harness.runs.shard import ArrayShare, asked_share

    shard = asked_share(parsed.shard, array=parsed.array)
    if isinstance(shard, ArrayShare):
        from harness.runs.merge import merge

        base = shard.base(parsed.report, Path.cwd())
        if shard.beyond(sum(unmet(case.experiment) is None for case in selection.cases)):
            return told(merge(shard.reports(base), base))
        parsed.report = shard.directory(base)
    live = LiveLine(sys.stderr)
    progress: Progress = Silent() if parsed.quiet else live
    claims = Claims.read(parsed.gate, parsed.compare, parsed.compare_fail, parsed.save)
    if parsed.plan:
        forecasts = forecast_cases(
            selection.cases,
            parsed.store,
            unsafe_code=parsed.unsafe_code,
            shard=shard,
            claims=claims,
        )
        print(forecast_table(forecasts, speed=parsed.speed))
        reasons = {case.id: unmet(case.experiment) for case in selection.cases}
        for id_, reason in reasons.items():
            if reason is not None:
                print(f"skipped: {id_} {reason}")
        return 0
    with live.beside():
        finished = run_cases(
            selection.cases,
            parsed.report,
            progress,
            parsed.command,
            store=parsed.store,
            fresh=parsed.fresh,
            further=vars(parsed)["continue"],
            shard=shard,
            unsafe_code=parsed.unsafe_code,
            claims=claims,
        )
    if parsed.json:
        print(finished.report.model_dump_json(indent=2))
        for line in nothing_ran(finished):
            print(line, file=sys.stderr)
        return status_of(finished)
    return told(
        finished,
        ran=True,
        deselected=selection.deselected,
        verbose=parsed.verbose,
        quiet=parsed.quiet,
    )
