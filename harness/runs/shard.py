"""One of N equal shares of a run, for a machine that knows nothing of the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from harness.errors import TitrateError
from harness.runs.partition import partition
from harness.runs.plan import PlannedCase


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `of` shards, counted from 1."""

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @classmethod
    def parse(cls, text: str, option: str = "--titrate-shard") -> Self:
        """Read `I/N`; raises `TitrateError` unless 1 <= I <= N."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if found is None:
            raise TitrateError(f"{option} {text}: is no shard; use I/N, such as 1/2 and 2/2")
        index, of = int(found[1]), int(found[2])
        if of == 0:
            raise TitrateError(f"{option} {text}: there are no shards; use 1/1 for a whole run")
        if not 1 <= index <= of:
            raise TitrateError(f"{option} {text}: there is no such shard; use 1/{of} to {of}/{of}")
        return cls(index, of)

    def own(self, cases: Sequence[PlannedCase]) -> list[PlannedCase]:
        """This shard's cases of a whole selection; every case is some shard's."""
        distinct = {case.id: case for case in cases}
        return partition(list(distinct.values()), self.of)[self.index - 1]
