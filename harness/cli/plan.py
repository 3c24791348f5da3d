"""`titrate plan SPEC --effect 0.05`: samples and tokens that a verdict takes, before a run."""

from __future__ import annotations

import argparse
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
        "times as many)",
    )
    add_to_argparse(parser, "set", "select", "limit", "model", "engine", "store", "unsafe_code")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the table."""
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
    from harness.metrics.lookup import kind_of
    from harness.runs.checks import planned
    from harness.runs.needed import needed_table, shares

    ready = [planned(case, unsafe_code=parsed.unsafe_code) for case in cases]
    metric = ready[0].metric
    if not kind_of(ready[0].experiment, metric).share:
        raise OptionError(
            "effect",
            f"{metric} is no rate, and how much it varies is not known before a run; "
            "choose a rate by --set metric=...",
        )
    forecasts = forecast_cases(cases, parsed.store, unsafe_code=parsed.unsafe_code)
    wanted = shares(effect) if changes is None else [changes]
    print(needed_table(ready[0].experiment.name, ready, forecasts, effect, wanted))
    return 0
