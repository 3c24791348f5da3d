"""One of N equal shares of a run, for a machine that knows nothing of the others.

Cases are shared out by expected cost, identities by their number: those of a model stay together,
but where the next share begins.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness.errors import OptionError, ReportError, TitrateError
from harness.options import spelled

if TYPE_CHECKING:
    from harness.invariants.finding import CheckName
    from harness.runs.planned_case import PlannedCase
    from harness.spec import Case

_TASK_ID = "SLURM_ARRAY_TASK_ID"
_TASKS = ".tasks"


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `of` shards, counted from 1."""

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `I/N`; raises `OptionError` unless 1 <= I <= N."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if found is None:
            raise OptionError("shard", f"{text}: is not a shard; use I/N, such as 1/2 and 2/2")
        index, of = int(found[1]), int(found[2])
        if of == 0:
            raise OptionError("shard", f"{text}: there are no shards; use 1/1 for a whole run")
        if not 1 <= index <= of:
            raise OptionError("shard", f"{text}: there is no such shard; use 1/{of} to {of}/{of}")
        return cls(index, of)

    def own(
        self, cases: Sequence[PlannedCase], identities: Sequence[CheckName] = ()
    ) -> tuple[list[PlannedCase], list[CheckName]]:
        """This shard's part of a whole selection; every case and identity is some shard's.

        Raises:
            TitrateError: there are so many shards that some have nothing. All of them say so.
        """
        from harness.runs.partition import (
            partition,  # which needs torch; reading an option does not
        )

        parts = partition(list({case.id: case for case in cases}.values()), self.of)
        checked = _chunks(list(dict.fromkeys(identities)), self.of)
        used = max(sum(map(bool, parts)), sum(map(bool, checked)))
        if used < self.of:
            raise TitrateError(
                f"shard {self}: there is work for {used} of {self.of} shards only; "
                f"use 1/{used} to {used}/{used}"
            )
        return parts[self.index - 1], checked[self.index - 1]

    def description(
        self, cases: Iterable[Case], identities: Iterable[CheckName] = ()
    ) -> dict[str, Any]:
        """What the report of this shard says of the whole selection (`report.report.Shard`)."""
        distinct = {case.id: case for case in cases}
        digest = hashlib.sha256()
        for case in distinct.values():
            settings = case.experiment.model_dump(mode="json")
            digest.update(json.dumps([case.id, case.of, _relocated(settings)]).encode())
        return {
            "index": self.index,
            "of": self.of,
            "cases": tuple(distinct),
            "selection": digest.hexdigest(),
            "identities": tuple(dict.fromkeys(identities)),
        }


@dataclass(frozen=True, slots=True)
class ArrayShare:
    """The case of a task of a SLURM array: one for each, seeds outermost, then as the grids go.

    It is a shard as any other, so that `titrate merge` joins them. A task beyond the last case has
    nothing to run: it merges what the others have written.
    """

    task: int
    array: str

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The task that this process is (`SLURM_ARRAY_TASK_ID`); raises `OptionError` for none."""
        text = environment.get(_TASK_ID, "")
        if not text.isdecimal():
            told = f"is {text}" if text else "is not set"
            raise TitrateError(
                f"{spelled('array')}: {_TASK_ID} {told}; start it by sbatch --array=0-N, or set it "
                "to a number"
            )
        return cls(int(text), environment.get("SLURM_ARRAY_JOB_ID", ""))

    def base(self, given: Path | None, root: Path) -> Path:
        """The directory of the report of all tasks: as given, or that of the array."""
        return given or root / "reports" / (f"array-{self.array}" if self.array else "array")

    def directory(self, base: Path) -> Path:
        """The directory of this task's report, below that of all."""
        return base / _TASKS / f"{self.task:05d}"

    def reports(self, base: Path) -> list[Path]:
        """The reports that tasks have written there.

        Raises:
            ReportError: there are none.
        """
        found = sorted(base.glob(f"{_TASKS}/*/report.json"))
        if not found:
            raise ReportError(f"{base}: no task has written a report here; run the others first")
        return [path.parent for path in found]

    def beyond(self, count: int) -> bool:
        """Whether there are fewer cases."""
        return self.task >= count

    def own(
        self,
        cases: Sequence[PlannedCase],
        identities: Sequence[CheckName] = (),  # noqa: ARG002 - as a shard's
    ) -> tuple[list[PlannedCase], list[CheckName]]:
        """The case of this task; nothing beyond the last. Identities are no task's.

        Raises:
            OptionError: a case's experiment stops itself.
        """
        distinct = {case.id: case for case in cases}
        for case in distinct.values():
            if case.experiment.stop is not None:
                raise OptionError(
                    "array",
                    f"{case.experiment.name} stops itself, and what its doses are asked depends on "
                    "all of them, where a task has one; use shards or titrate submit, or leave "
                    "stop out",
                )
        seeds = {case.experiment.seed: None for case in distinct.values()}
        order = {seed: at for at, seed in enumerate(seeds)}
        sorted_ = sorted(distinct.values(), key=lambda case: order[case.experiment.seed])
        return sorted_[self.task : self.task + 1], []

    def description(
        self,
        cases: Iterable[Case],
        identities: Iterable[CheckName] = (),  # noqa: ARG002 - as a shard's
    ) -> dict[str, Any]:
        """As a shard's."""
        distinct = list({case.id: case for case in cases}.values())
        told = Shard(self.task + 1, max(1, len(distinct))).description(distinct)
        return {**told, "array": True}


def asked_share(shard: str | None, *, array: bool) -> Shard | ArrayShare | None:
    """The share of a run that a command line asks for; raises `OptionError` for none, or two."""
    if not array:
        return None if shard is None else Shard.parse(shard)
    if shard is not None:
        raise OptionError("shard", f"{shard}: is another share than that of {spelled('array')}")
    return ArrayShare.of_environment()


def _chunks(identities: Sequence[CheckName], count: int) -> list[list[CheckName]]:
    """`count` runs of neighbours, equally long but for one; those at the end may be empty."""
    chunks: list[list[CheckName]] = [[] for _ in range(count)]
    for position, each in enumerate(identities):
        chunks[position * count // max(len(identities), count)].append(each)
    return chunks


def _relocated(value: Any) -> Any:
    """The same settings with only the names of absolute paths: folders differ between machines.

    What these files hold is compared by the fingerprints of models and the points of masks.
    """
    if isinstance(value, Mapping):
        return {key: _relocated(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_relocated(part) for part in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value
