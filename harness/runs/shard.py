"""One of N equal shares of a run, for a machine that knows nothing of the others.

Cases are shared out by expected cost, identities by their number: those of a model stay together,
but where the next share begins.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness.errors import OptionError, TitrateError
from harness.invariants.finding import CheckName
from harness.spec import Case

if TYPE_CHECKING:
    from harness.runs.plan import PlannedCase


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
