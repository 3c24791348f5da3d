"""`titrate submit SPEC... --cluster slurm|local`: run spec files as tasks of a cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.errors import OptionError
from harness.options import RESOURCES, RUN, add_options, overrides

_NOT_OF_A_CLUSTER = {"shard", "plan", "speed"}


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate submit`."""
    parser.add_argument("specs", nargs="+", type=Path, metavar="SPEC", help="a YAML file")
    parser.add_argument(
        "--cluster", default="slurm", metavar="NAME", help="slurm (default), or local: this machine"
    )
    add_options(parser, RESOURCES)
    parser.add_argument(
        "--tasks",
        type=int,
        metavar="N",
        help="share the cases of each model out among N tasks at most (default: one per case)",
    )
    parser.add_argument(
        "--array-parallelism", type=int, metavar="N", help="run at most N tasks at once"
    )
    parser.add_argument(
        "--store-scratch",
        metavar="DIR",
        help="let tasks write to this folder of their own node, e.g. '$TMPDIR', and copy whole "
        "files into the store",
    )
    parser.add_argument("--wait", action="store_true", help="stay until the report is there")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the scripts for sbatch, and submit nothing"
    )
    add_options(parser, [option for option in RUN if option.name not in _NOT_OF_A_CLUSTER])
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Submit the cases that are selected, or print what would be submitted."""
    from harness.launch.cluster.clusters import cluster_named
    from harness.launch.selection import selected

    # Mistakes are told at once: what follows imports torch, for seconds.
    cluster = cluster_named(parsed.cluster)
    for name in ("tasks", "array_parallelism"):
        if (value := getattr(parsed, name)) is not None and value < 1:
            raise OptionError(name, f"{value}: is not a number of tasks; use 1 or more")
    selection = selected(parsed.specs, overrides(vars(parsed)), parsed.select)
    if not parsed.dry_run:
        cluster.check_usable()
    from harness.claims.claims import Claims
    from harness.cli.following import follow
    from harness.launch.cluster.submitting import Wanted, prepared, submit
    from harness.launch.live import LiveLine

    session, submission = prepared(
        selection.cases,
        parsed.report,
        parsed.command,
        LiveLine(sys.stderr),
        Wanted(
            parsed.cluster,
            parsed.tasks,
            parsed.array_parallelism,
            parsed.store,
            parsed.store_scratch,
            parsed.fresh,
            parsed.unsafe_code,
            vars(parsed)["continue"],
        ),
        Claims.read(parsed.gate, parsed.compare, parsed.compare_fail, parsed.save),
    )
    if parsed.dry_run:
        print(*cluster.scripts(submission), sep="\n")
        return 0
    submit(session, submission)
    count = len(submission.tasks)
    told = f"{count} tasks are" if count != 1 else "1 task is"
    print(f"run {submission.run}: {told} submitted")
    if parsed.wait:
        return follow(submission)
    print(f"titrate status {submission.run}")
    return 0
