"""`titrate doctor`: what this machine can do, each line found out by trying and not by asking."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from harness import sandbox
from harness.cli.plain import plain, table
from harness.errors import SandboxError
from harness.runs.accelerators import VARIABLE
from harness.runs.environment import hardware, versions
from harness.sandbox import Level, grants
from harness.sandbox.levels import isolating
from harness.sandbox.pool import tried

_NAMES = 43
"""Columns of the names, so that all tables have their values below each other."""


def declare(parser: argparse.ArgumentParser) -> None:
    """`titrate doctor` has no arguments."""
    parser.set_defaults(run=run)


def run(_parsed: argparse.Namespace) -> int:
    """Print what was found; status 1 where model-written code cannot be isolated."""
    examination = examine()
    print(examination.text, end="")
    return 0 if examination.isolates else 1


@dataclass(frozen=True)
class Examination:
    """What was found, as text, and whether model-written code can be isolated here."""

    text: str
    isolates: bool


def examine() -> Examination:
    """Try everything; takes a second or two."""
    machine = {name: _shown(name, value) for name, value in hardware().items()}
    kinds = {f"{kind} namespace": found for kind, found in grants.namespaces().items()}
    levels = {str(level): _level(level) for level in isolating()}
    tables = [
        _table("version of", versions()),
        _table("machine", machine),
        _table("kernel", {**kinds, **grants.filters()}),
        _table("isolation of model-written code", levels),
    ]
    try:
        chosen = sandbox.choose()
    except SandboxError as error:
        return Examination(
            plain(*tables, f"{str(error)[0].upper()}{str(error)[1:]}."), isolates=False
        )
    tables.append(_table(f"attempt inside {chosen.level}", grants.attempts(chosen.level)))
    found = plain(*tables, f"Code that a model wrote is isolated by: {chosen}.")
    return Examination(found, isolates=True)


def _level(level: Level) -> str:
    try:
        return f"works: {tried(level)}"
    except SandboxError as error:
        return f"no: {error}"


def _table(title: str, rows: Mapping[str, str]) -> Table:
    made = table(title, "")
    made.columns[0].min_width = _NAMES
    for name, value in rows.items():
        made.add_row(name, value)
    return made


def _shown(name: str, value: object) -> str:
    if name == "devices" and value is None:
        return f"all of them ({VARIABLE} is not set)"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
