"""What is counted while a mechanism acts, and how tables, pages and warnings say it.

Engines count by these names, whichever kind acts; a case that counts nothing of a mechanism has no
column of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.spec.engine_kind import Mechanism


@dataclass(frozen=True, slots=True)
class CountedShare:
    """A column: the share that one count has of another.

    Args:
        title: Of the column.
        part: The count that it is a share of.
        whole: The count that is 100 %.
        meaning: What it is the share of, in words.
        idle: What is wrong where the share is 0; None where nothing is.
    """

    title: str
    part: str
    whole: str
    meaning: str
    idle: str | None = None

    def of(self, counts: Mapping[str, int]) -> float | None:
        """The share (0 to 1); None where the whole was not counted."""
        whole = counts.get(self.whole)
        return counts.get(self.part, 0) / whole if whole else None


SHARES: Mapping[Mechanism, tuple[CountedShare, ...]] = {
    "router_logits": (
        CountedShare(
            "changed",
            "changed",
            "routed",
            "routing decisions that the intervention changed",
            idle="routing decisions",
        ),
        CountedShare(
            "empty",
            "emptied",
            "routed",
            "routing decisions in which nothing was left of the model's own top-k",
        ),
    ),
}


def shares_in(cases: Sequence[Mapping[str, int]]) -> list[CountedShare]:
    """The columns of which any of these counts has something, those of a mechanism together."""
    return [
        share
        for shares in SHARES.values()
        for share in shares
        if any(counts.get(share.whole) for counts in cases)
    ]


def did_nothing(counts: Mapping[str, int]) -> Iterator[str]:
    """That nothing was changed where something could have been, mechanism by mechanism."""
    for share in shares_in([counts]):
        if share.idle is not None and not counts.get(share.part):
            what = f"{counts[share.whole]} {share.idle}"
            yield f"the intervention changed none of {what}: it did nothing"
