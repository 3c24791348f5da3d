"""`titrate plan SPEC --effect 0.05`: samples and tokens that each verdict takes, before a run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from harness.errors import OptionError
from harness.options import add_to_argparse, overrides


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate plan`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a YAML file")
    parser.add_argument(
        "--effect",
        type=float,
        required=True,
        metavar="DIFFERENCE",
        help="the difference of a rate from the baseline's that is to be found, such as 0.05",
    )
    parser.add_argument(
        "--changes",
        type=float,
        metavar="SHARE",
        help="the share of samples that change at all (default: as few as can be, twice, four "
        "times as many; twice for what is simulated)",
    )
    parser.add_argument("--json", action="store_true", help="for other programs")
    add_to_argparse(parser, "set", "select", "limit", "model", "engine", "store", "unsafe_code")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the plan."""
    effect, changes = parsed.effect, parsed.changes
    if not 0.001 <= effect <= 1:
        raise OptionError(
            "effect", f"{effect:g}: is no difference of two rates; use one from 0.001 to 1"
        )
    if changes is not None and not effect <= changes <= 1:
        raise OptionError(
            "changes",
            f"{changes:g}: a difference of {effect:g} takes that many changes; use {effect:g} to 1",
        )
    from harness.launch.selection import selected

    cases = selected([parsed.spec], overrides(vars(parsed)), parsed.select).cases
    from harness.launch.local import forecast_cases
    from harness.runs.checks import planned
    from harness.runs.needed import Needed
    from harness.runs.pilot import pilot_of
    from harness.runs.verdicts import VerdictPlanner

    forecasts = forecast_cases(cases, parsed.store, unsafe_code=parsed.unsafe_code)
    ready = [planned(case, unsafe_code=parsed.unsafe_code) for case in cases]
    planner = VerdictPlanner(ready, effect, changes, pilot_of(ready, Path.cwd()))
    found = Needed.of(planner, forecasts)
    if parsed.json:
        print(json.dumps(found.document(), indent=2, ensure_ascii=False))
    else:
        print(found.table())
    return 0
