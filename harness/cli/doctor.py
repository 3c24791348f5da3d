"""`titrate doctor`: what this machine can do, each line found out by trying and not by asking."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness import sandbox
from harness.errors import SandboxError
from harness.runs.environment import hardware, versions
from harness.sandbox import Level, probes
from harness.sandbox.levels import isolating
from harness.sandbox.pool import tried


@dataclass(frozen=True)
class Examination:
    """What was found, as text, and whether model-written code can be isolated here."""

    text: str
    isolates: bool


def examine() -> Examination:
    """Try everything; takes a second or two."""
    stream = io.StringIO()
    console = Console(file=stream, width=100, highlight=False, markup=False, emoji=False)
    machine = {name: _shown(value) for name, value in hardware().items()}
    console.print(_table("version of", versions()))
    console.print(_table("machine", machine))
    kinds = {f"{kind} namespace": found for kind, found in probes.namespaces().items()}
    console.print(_table("kernel", {**kinds, **probes.filters()}))
    levels = {str(level): _level(level) for level in isolating()}
    console.print(_table("isolation of model-written code", levels))
    try:
        chosen = sandbox.choose()
    except SandboxError as error:
        console.print(f"{str(error)[0].upper()}{str(error)[1:]}.")
        return Examination(_stripped(stream.getvalue()), isolates=False)
    console.print(_table(f"attempt inside {chosen.level}", probes.attempts(chosen.level)))
    console.print(f"Code that a model wrote is isolated by: {chosen}.")
    return Examination(_stripped(stream.getvalue()), isolates=True)


def _stripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _level(level: Level) -> str:
    try:
        return f"works: {tried(level)}"
    except SandboxError as error:
        return f"no: {error}"


def _table(title: str, rows: Mapping[str, str]) -> Table:
    table = Table(title, "", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.columns[0].min_width = 44
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
