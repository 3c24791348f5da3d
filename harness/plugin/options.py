"""What pytest's command line takes for a run; every option carries the prefix `--titrate-`."""

from __future__ import annotations

from pathlib import Path

import pytest


def add_options(parser: pytest.Parser) -> None:
    """Declare the options, and the ini option that names the folder of specs."""
    group = parser.getgroup("titrate", "dose-response benches (titrate)")
    group.addoption(
        "--titrate-report",
        metavar="DIR",
        type=Path,
        help="write the report here (default: a new folder below reports/)",
    )
    group.addoption(
        "--titrate-set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="override a field of every spec, e.g. task.name=humaneval; may be repeated",
    )
    group.addoption(
        "--titrate-limit",
        metavar="N",
        type=int,
        help="use only the first N samples of every task (task.limit)",
    )
    group.addoption(
        "--titrate-model",
        metavar="MODEL",
        help="run every spec on this model instead of its own",
    )
    group.addoption(
        "--titrate-engine",
        metavar="NAME",
        help="run every spec on this engine instead of its own, transformers or vllm; or on each "
        "of them: transformers,vllm",
    )
    group.addoption(
        "--titrate-store",
        metavar="DIR",
        type=Path,
        help="keep completions and everything that is measured here (default: .titrate/store below "
        "the root directory); records of runs and saved runs stay in .titrate",
    )
    group.addoption(
        "--titrate-fresh",
        action="store_true",
        help="make all completions again instead of using stored ones",
    )
    group.addoption(
        "--titrate-plan",
        action="store_true",
        help="say what would be run, how much of it is stored, and run nothing",
    )
    group.addoption(
        "--titrate-shard",
        metavar="I/N",
        help="run the I-th of N equal shares of the cases; titrate merge joins their reports",
    )
    group.addoption(
        "--titrate-unsafe-code",
        action="store_true",
        help="where code that a model wrote cannot be isolated, run it with your own rights",
    )
    group.addoption(
        "--titrate-gate",
        metavar="CLAIM",
        action="append",
        default=[],
        help="fail unless this holds of what was selected, e.g. 'pass@1 >= 0.9 where count=0' or "
        "'monotone falling within CI'; may be repeated",
    )
    group.addoption(
        "--titrate-save",
        metavar="NAME",
        help="keep this run in .titrate/saved under the next number and this name",
    )
    group.addoption(
        "--titrate-compare",
        metavar="NAME",
        help="compare with the saved run of this name or number, a file, or a report's directory",
    )
    group.addoption(
        "--titrate-compare-fail",
        metavar="RULE",
        action="append",
        default=[],
        help="with --titrate-compare: fail on this finding, e.g. 'pass@1: worse, p<0.05'; may be "
        "repeated",
    )
    parser.addini("titrate_specs", "folder of spec files", type="paths", default=None)
