"""What a task of a run asks a cluster for: the section `resources` of a spec, in sbatch's terms."""

from __future__ import annotations

import re
from math import ceil
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveInt

from harness.spec.settings import Settings

_TIME = re.compile(
    r"(?:(?P<days>\d+)-(?P<hours>\d+)(?::(?P<minutes>\d+)(?::(?P<seconds>\d+))?)?"
    r"|(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)|(?P<only>\d+)(?::(?P<rest>\d+))?)"
)
#: What stands behind a larger unit, and how much of it makes one of those.
_MOST = {"hours": 24, "minutes": 60, "seconds": 60, "m": 60, "s": 60, "rest": 60}
_UNITS = {"m": "minutes", "s": "seconds", "rest": "seconds"}
_BYTES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def minutes_of(text: str) -> int:
    """The minutes of a time limit as sbatch reads it, begun ones in full.

    sbatch adds up what is too much for its place, such as 99 minutes behind hours. Here that is
    refused, as the slip that it most often is.

    Raises:
        ValueError: it is none, or a part of it is too much for its place.
    """
    found = _TIME.fullmatch(text)
    names = ("days", "hours", "minutes", "seconds", "h", "m", "s", "only", "rest")
    parts = {name: int((found and found[name]) or 0) for name in names}
    for name, most in _MOST.items():
        if parts[name] >= most:
            raise ValueError(
                f"{text[:40]!r} has {parts[name]} {_UNITS.get(name, name)} behind a larger unit; "
                f"use at most {most - 1} there"
            )
    days, hours, minutes, seconds, h, m, s, only, rest = parts.values()
    total = days * 1440 + (hours + h) * 60 + minutes + m + only + (seconds + s + rest) / 60
    if not total:
        raise ValueError(
            f"{text[:40]!r} is not a time limit; write it in quotes, as sbatch takes it: minutes, "
            'hours:minutes:seconds or days-hours, such as "2:00:00"'
        )
    return ceil(total)


def mebibytes_of(text: str) -> int:
    """The MiB of an amount of memory such as 16G, begun ones in full.

    Raises:
        ValueError: it has no unit, or is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT])", text)
    amount = 0.0 if found is None else float(found[1]) * _BYTES[found[2]]
    if not amount:
        raise ValueError(f"{text[:40]!r} is not an amount of memory; write it as 16G or 500M")
    return ceil(amount / 2**20)


def _in_quotes(value: object) -> object:
    """YAML reads 2:00:00 as 7200, of which nobody could tell what was meant."""
    return minutes_of(f"{value} unquoted") if type(value) is int else value


def _time(text: str) -> str:
    minutes_of(text)
    return text


def _memory(text: str) -> str:
    mebibytes_of(text)
    return text


_Word = Annotated[str, Field(min_length=1, pattern=r"^[^\s]+$")]


class Resources(Settings):
    """What a task of `titrate submit` asks the cluster for."""

    gpus: NonNegativeInt = 0
    """How many GPUs a task has, by default 0."""
    cpus: PositiveInt | None = None
    """How many cores a task has, and how many threads its model computes with unless
    OMP_NUM_THREADS says otherwise. The cluster's own default when left out."""
    memory: Annotated[str, AfterValidator(_memory)] | None = None
    """How much main memory a task has, such as 16G. The cluster's own default when left out."""
    time: Annotated[str, BeforeValidator(_in_quotes), AfterValidator(_time)] = "60"
    """The time limit of a task, in quotes and as sbatch takes it: "90" (minutes), "2:00:00",
    "1-12". A task that has not ended by then goes on in the queue; 60 minutes by default."""
    partition: _Word | None = None
    """The partition that a task is queued in, or several with commas. The cluster's own default
    when left out."""
    constraint: _Word | None = None
    """Features that a node must have, such as a100. Any node will do when left out."""
    account: _Word | None = None
    """The account that a task's time is charged to. The user's default account is charged when left
    out."""
    setup: list[str] = []
    """Lines of shell that are run before the task's Python, such as module load cuda. None by
    default."""

    @property
    def minutes(self) -> int:
        """The time limit in minutes."""
        return minutes_of(self.time)

    @property
    def mebibytes(self) -> int | None:
        """The memory in MiB."""
        return None if self.memory is None else mebibytes_of(self.memory)
